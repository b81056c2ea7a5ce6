"""Columns to wire text: a whole block at once, by joining constant fragments with the numbers that change.

In: payments as columns. Out: a `RecordBlock` whose values are the JSON of `schemas.events.Payment`.
A property test holds the text equal to what the pydantic model writes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import numpy as np
import polars as pl
from aiokafka.partitioner import DefaultPartitioner

from producers.blocks import Headers, PaymentBlock, RecordBlock
from producers.sectors.sector import NO_BILL, Draws
from producers.simulation.calendar import Day
from producers.simulation.engine import DayOfPayments
from producers.simulation.world import IntArray, World
from schemas.errors import BadInputError
from schemas.events import METHODS, SCHEMA_VERSION, STATUSES, Cell, payment_id, source_key
from schemas.topics import PAYMENTS

CLOUD_EVENT_TYPE = b"vn.quetma.payment.v1"
_RUN = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch


_choose = DefaultPartitioner()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as Kafka's default partitioner has it."""
    numbers = list(range(partitions))
    return int(_choose(key, numbers, numbers))


class PaymentEncoder:
    """Encodes the payments of one run of one world.

    Ids and the run go into the text as they are: none of them has a character that JSON would escape.

    Raises:
        BadInputError: if the name of the run has one, or one that parts the keys of other topics.
    """

    def __init__(self, world: World, run: str, partitions: int, *, cloud_events: bool = False) -> None:
        if not _RUN(run):
            raise BadInputError("run", f"{run!r}", "give 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'")
        self._world = world
        self._run = run
        self._cloud_events = cloud_events
        self._keys = [place.id.encode() for place in world.places]
        self._partitions = np.array([partition_of(key, partitions) for key in self._keys])
        self._head = pl.Series([self._head_of(run, number, id_) for number, id_ in enumerate(world.source_ids)])
        self._bill_prefix = pl.Series(bill_prefixes(world))
        self._middle = pl.Series(
            [f',"method":"{method}","status":"{status}","amount_vnd":' for method in METHODS for status in STATUSES]
        )

    def blocks(self, day: DayOfPayments, size: int) -> Iterator[PaymentBlock]:
        """Yield a day's payments in blocks of at most ``size``, in order of time."""
        for low in range(0, len(day.payments), size):
            yield self.block(day.day, _rows(day.payments, low, low + size), day.sequence[low : low + size])

    def block(self, day: Day, payments: Draws, sequence: IntArray) -> PaymentBlock:
        """Encode payments of one day."""
        communes = self._world.commune_of_source[payments.source]
        records = RecordBlock(
            topic=PAYMENTS,
            partition=self._partitions[communes],
            key=[self._keys[number] for number in communes.tolist()],
            value=self._text(payments, sequence),
            timestamp=payments.occurred_at.tolist(),
            headers=self._cloud_event_headers(payments, sequence) if self._cloud_events else None,
        )
        return PaymentBlock(day, records, payments, self._world.cell_of_source[payments.source])

    def _text(self, payments: Draws, sequence: IntArray) -> list[bytes]:
        frame = pl.DataFrame(
            {
                "source": payments.source,
                "sequence": sequence,
                "middle": payments.method * len(STATUSES) + payments.status,
                "amount": payments.amount_vnd,
                "at": payments.occurred_at,
                "bill": payments.bill,
            }
        )
        parts = [
            pl.lit(self._head).gather(pl.col("source")),
            pl.col("sequence").cast(pl.String),
            pl.lit('","sequence":'),
            pl.col("sequence").cast(pl.String),
            pl.lit(self._middle).gather(pl.col("middle")),
            pl.col("amount").cast(pl.String),
            pl.lit(',"occurred_at":'),
            pl.col("at").cast(pl.String),
        ]
        if (payments.bill == NO_BILL).all():
            parts.append(pl.lit("}"))
        else:
            prefix = pl.lit(self._bill_prefix).gather(pl.col("source"))
            bill = pl.concat_str([pl.lit(',"bill_number":"'), prefix, pl.col("bill").cast(pl.String), pl.lit('"}')])
            parts.append(pl.when(pl.col("bill") == NO_BILL).then(pl.lit("}")).otherwise(bill))
        return frame.select(pl.concat_str(parts).cast(pl.Binary)).to_series().to_list()

    def _cloud_event_headers(self, payments: Draws, sequence: IntArray) -> list[Headers]:
        """Return the attributes of CloudEvents 1.0 in binary content mode, one list a record."""
        columns = (payments.source.tolist(), sequence.tolist(), payments.occurred_at.tolist())
        return [self._cloud_event(*row) for row in zip(*columns, strict=True)]

    def _cloud_event(self, source: int, sequence: int, occurred_at: int) -> Headers:
        name = self._world.source_ids[source]
        time = dt.datetime.fromtimestamp(occurred_at / 1000, dt.UTC).isoformat(timespec="milliseconds")
        return [
            ("ce_specversion", b"1.0"),
            ("ce_type", CLOUD_EVENT_TYPE),
            ("ce_source", f"/quetma/{self._run}/{name}".encode()),
            ("ce_id", payment_id(self._run, name, sequence).encode()),
            ("ce_time", time.encode()),
            ("content-type", b"application/json"),
        ]

    def _head_of(self, run: str, number: int, source: str) -> str:
        cell = self._world.cells[self._world.cell_of_source[number]]
        commune = self._world.places[cell.commune].id
        return (
            f'{{"schema_version":{SCHEMA_VERSION},"run":"{run}","source":"{source}","cell":"{cell.id}",'
            f'"commune":"{commune}","sector":"{cell.sector}","payment_id":"{source_key(run, source)}-'
        )


def bill_prefixes(world: World) -> list[str]:
    """Return what the bill numbers of each source begin with: sector and commune, such as ``E017-``."""
    return [
        f"{world.cells[cell].sector[0].upper()}{world.cells[cell].commune + 1:03d}-"
        for cell in world.cell_of_source.tolist()
    ]


def _rows(draws: Draws, low: int, high: int) -> Draws:
    return Draws(*(getattr(draws, name)[low:high] for name in draws.__dataclass_fields__))


def cell_records(world: World, run: str) -> list[Cell]:
    """Return what the run announces of its cells."""
    province = world.scenario.province
    return [
        Cell(
            schema_version=SCHEMA_VERSION,
            run=run,
            cell=cell.id,
            kind="market" if cell.sector == "market_stall" else "commune_sector",
            name=cell.name,
            commune=world.places[cell.commune].id,
            commune_name=world.places[cell.commune].name,
            province=province.id,
            province_name=province.name,
            sector=cell.sector,
            sources=cell.sources,
        )
        for cell in world.cells
    ]
