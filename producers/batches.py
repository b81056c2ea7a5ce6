"""Record batches, filled many records at a time.

In: columns of encoded records. Out: an aiokafka batch. `BatchBuilder.append` takes one record by keywords and answers
with its metadata, which costs as much again as laying the record out: this fills the same batch without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.producer.message_accumulator import BatchBuilder

from producers.blocks import Headers, RecordBlock

NO_HEADERS: Headers = []
"""One list for all records: most have none, and making a new one for each is a cost on the hot path."""


class FilledBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka has no types
    """A batch that is filled from a block, as much as it takes."""

    def fill(self, block: RecordBlock, rows: Sequence[int], more: dict[int, Headers]) -> int:
        """Append rows of a block to the empty batch until it is full, and close it; return how many it took.

        Args:
            block: encoded records.
            rows: which of them.
            more: headers beside a record's own, by position in ``rows``.
        """
        keys, values, timestamps, own = block.key, block.value, block.timestamp, block.headers
        append, count = self._builder.append, 0
        for row in rows:
            headers = NO_HEADERS if own is None else own[row]
            if count in more:
                headers = [*headers, *more[count]]
            if append(count, timestamps[row], keys[row], values[row], headers) is None:
                break
            count += 1
        self._relative_offset = count
        self.close()
        return count

    def seal(self) -> None:
        """Lay the batch out as it goes over the wire, compressed. Needs no loop: any thread may do it."""
        self._build()
