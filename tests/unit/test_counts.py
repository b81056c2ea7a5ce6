"""What a worker says of its partitions: their counts, how far they are, and when they were durable last."""

from __future__ import annotations

import time

from schemas.events import DeadLetterReason
from schemas.metrics import METRICS
from streams.counts import PartitionCounts
from streams.fold import PartitionState

ROWS = {row.name for row in METRICS if row.collected and "stream" in row.processes}


def samples(counts: PartitionCounts) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {tuple(one.labels.values()): one.value for one in family.samples} for family in counts.collect()
    }


def test_every_row_of_the_table_and_no_other() -> None:
    counts = PartitionCounts(list, lambda _: None)
    assert {family.name for family in counts.describe()} == set(samples(counts)) == ROWS


def test_shows_the_states_of_its_partitions() -> None:
    state = PartitionState(3, next_offset=40, processed=41, applied=30, duplicates=5, late=2, alerts=1)
    state.dead_letters[DeadLetterReason.AMOUNT] = 6
    found = samples(PartitionCounts(lambda: [state], {3: 100}.get))
    assert found["quetma_processed_records"] == {("3",): 41}
    assert found["quetma_fraud_alerts"] == {("3",): 1}
    assert found["quetma_lag_records"] == {("3",): 60}
    assert found["quetma_dead_letters"]["3", "amount"] == 6
    assert len(found["quetma_dead_letters"]) == len(DeadLetterReason)


def test_a_partition_that_is_gone_is_not_shown_as_one_that_does_not_commit() -> None:
    states = [PartitionState(0), PartitionState(1)]
    counts = PartitionCounts(lambda: states, lambda _: None)
    before = time.time()
    for number in (0, 1, 2):
        counts.durable(number)
    found = samples(counts)["quetma_last_commit_timestamp_seconds"]
    assert set(found) == {("0",), ("1",)}
    assert all(before <= at <= time.time() for at in found.values())
    del states[0]
    assert set(samples(counts)["quetma_last_commit_timestamp_seconds"]) == {("1",)}
