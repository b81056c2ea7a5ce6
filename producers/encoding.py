"""Columns to wire text: a whole block at once, by joining constant fragments with the numbers that change.

In: days of payments. Out: `PaymentBlock`s whose values are the JSON of `schemas.events.Payment`, and truth records.
A property test holds the text equal to what the pydantic model writes.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import polars as pl
from aiokafka.partitioner import DefaultPartitioner

from producers.accounts import account_of, stranger_of
from producers.blocks import PaymentBlock, RecordBlock
from producers.digits import digits, index
from producers.engine import DayOfPayments
from producers.record_format import Headers
from producers.simulation.columns import NO_BILL, NOTHING, VIETQR, IntArray, Payments, label_number
from producers.simulation.transmission import MALFORMED, Transmission
from producers.simulation.world import World
from schemas.errors import BadInputError
from schemas.events import (
    FAILURE_REASONS,
    METHODS,
    SCHEMA_VERSION,
    STATUSES,
    TRUTH_LABELS,
    Cell,
    Truth,
    payment_id,
    source_key,
)
from schemas.headers import CLOUD_EVENT_TYPE
from schemas.topics import PAYMENTS, TRUTH
from schemas.types import struct_of

_RUN = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_FRAUD = label_number("fraud")
_TruthRow = struct_of(Truth)
_encode = msgspec.json.Encoder().encode


_choose = DefaultPartitioner()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as Kafka's default partitioner has it."""
    numbers = list(range(partitions))
    return int(_choose(key, numbers, numbers))


class PaymentText:
    """Writes payments of one run of one world as JSON.

    Ids and the run go into the text as they are: none of them has a character that JSON would escape.

    Raises:
        BadInputError: if the name of the run has one, or one that parts the keys of other topics.
    """

    def __init__(self, world: World, run: str) -> None:
        if not _RUN(run):
            raise BadInputError("run", f"{run!r}", "give 1 to 64 of A-Z, a-z, 0-9, '.', '_', '-'")
        self._world = world
        self._run = run
        self._keys = [source_key(run, id_) for id_ in world.source_ids]
        sources = range(world.source_count)
        plain = [self._head(source, None) for source in sources]
        scanned, swapped = (
            [self._head(s, account(world, s)) if world.is_counter[s] else plain[s] for s in sources]
            for account in (account_of, stranger_of)
        )
        self._heads = pl.Series([*plain, *scanned, *swapped])
        self._bill_prefix = pl.Series(bill_prefixes(world))
        self._middle = pl.Series(
            [f',"method":"{method}","status":"{status}","amount_vnd":' for method in METHODS for status in STATUSES]
        )

    def lines(self, payments: Payments, sequence: IntArray) -> pl.Series:
        """Return the JSON of payments, shape (n,)."""
        middle = self._middle[index(payments.method.astype(np.int64) * len(STATUSES) + payments.status)]
        number, amount, at = digits(sequence), _text(payments.amount_vnd), _text(payments.occurred_at)
        return _concatenated(
            self._heads[index(self._head_numbers(payments))],
            number,
            pl.lit('","sequence":'),
            number,
            middle,
            amount,
            pl.lit(',"occurred_at":'),
            at,
            self._ends(payments),
        )

    def _head_numbers(self, payments: Payments) -> IntArray:
        """Return how each line begins: nobody's account, the till's own, or that of a stranger who swapped its code."""
        tills, labels = self._world.source_count, payments.labels
        number = np.asarray(payments.source + tills * (payments.method == VIETQR))
        number[labels.row[labels.label == _FRAUD]] += tills
        return number

    def _ends(self, payments: Payments) -> pl.Series:
        """Return what closes each line: the bill number, what more there is to say, the brace."""
        row = np.flatnonzero(payments.bill != NO_BILL)
        prefix, number = self._bill_prefix[index(payments.source[row])], _text(payments.bill[row])
        bills = _concatenated(pl.lit(',"bill_number":"'), prefix, number, pl.lit('"}'))
        ends = replaced(pl.repeat("}", len(payments), eager=True), row, bills)
        row = payments.notes.row
        plain = ends[index(row)].to_list()
        noted = [f"{end[:-1]}{note}}}" for end, note in zip(plain, self._notes(payments), strict=True)]
        return replaced(ends, row, pl.Series(noted, dtype=pl.String))

    def _notes(self, payments: Payments) -> Iterator[str]:
        """Yield what there is to say of the few payments of which there is more."""
        notes = payments.notes
        columns = (payments.source[notes.row], notes.reason, notes.attempt, notes.refers_to)
        for source, reason, attempt, refers_to in zip(*(column.tolist() for column in columns), strict=True):
            text = f',"failure_reason":"{FAILURE_REASONS[reason]}"' if reason != NOTHING else ""
            text += f',"attempt":{attempt}' if attempt > 1 else ""
            text += f',"refers_to":"{self._keys[source]}-{refers_to}"' if refers_to != NOTHING else ""
            yield text

    def _head(self, source: int, beneficiary: str | None) -> str:
        world, name = self._world, self._world.source_ids[source]
        cell = world.cells[world.cell_of_source[source]]
        account = f'"beneficiary":"{beneficiary}",' if beneficiary else ""
        return (
            f'{{"schema_version":{SCHEMA_VERSION},"run":"{self._run}","source":"{name}","cell":"{cell.id}",'
            f'"commune":"{world.places[cell.commune].id}","sector":"{cell.sector}",{account}'
            f'"payment_id":"{self._keys[source]}-'
        )


def _text(numbers: IntArray) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)


def _concatenated(*texts: pl.Series | pl.Expr) -> pl.Series:
    return pl.select(pl.concat_str(texts)).to_series()


def replaced(texts: pl.Series, row: IntArray, by: pl.Series) -> pl.Series:
    """Return texts, shape (n,), with others in the rows given."""
    if not len(row):
        return texts
    place = np.arange(len(texts), dtype=np.uint32)
    place[row] = len(texts) + np.arange(len(row))
    return pl.concat([texts, by], rechunk=True)[pl.Series(place)]


class PaymentEncoder:
    """Makes the records of one run of one world."""

    def __init__(self, world: World, run: str, partitions: int, *, cloud_events: bool = False) -> None:
        self._world = world
        self._run = run
        self._cloud_events = cloud_events
        self._text = PaymentText(world, run)
        self._keys = pl.Series([place.id for place in world.places])
        self._partitions = np.array([partition_of(place.id.encode(), partitions) for place in world.places])

    def blocks(self, day: DayOfPayments, sending: Transmission, size: int) -> Iterator[PaymentBlock]:
        """Yield a day's records in blocks of at most ``size``, in order of sending, faults included."""
        for low in range(0, len(sending), size):
            part = slice(low, low + size)
            yield self._block(day, Transmission(sending.row[part], sending.sent_at[part], sending.fault[part]))

    def truth(self, day: DayOfPayments) -> RecordBlock:
        """Return what is known of a day's payments beyond their records."""
        labels, payments = day.payments.labels, day.payments
        source, commune = payments.source[labels.row], self._world.commune_of_source[payments.source[labels.row]]
        columns = (source, commune, day.sequence[labels.row], labels.label, payments.occurred_at[labels.row])
        rows = [self._truth(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
        return RecordBlock(
            topic=TRUTH,
            partition=self._partitions[commune],
            key=pl.Series([f"{row.run}|{row.payment_id}|{row.label}" for row in rows], dtype=pl.String),
            value=pl.Series([_encode(row) for row in rows], dtype=pl.Binary).cast(pl.String),
            timestamp=columns[-1],
        )

    def _truth(self, source: int, commune: int, sequence: int, label: int, occurred_at: int) -> Any:
        name = self._world.source_ids[source]
        return _TruthRow(
            schema_version=SCHEMA_VERSION,
            run=self._run,
            payment_id=payment_id(self._run, name, sequence),
            source=name,
            commune=self._world.places[commune].id,
            sector=self._world.cells[self._world.cell_of_source[source]].sector,
            label=TRUTH_LABELS[label],
            occurred_at=occurred_at,
        )

    def _block(self, day: DayOfPayments, sending: Transmission) -> PaymentBlock:
        payments, sequence = day.payments.take(sending.row), day.sequence[sending.row]
        communes = self._world.commune_of_source[payments.source]
        values, broken = self._text.lines(payments, sequence), np.flatnonzero(sending.fault == MALFORMED)
        spoilt = [spoiled(line) for line in values[index(broken)].to_list()]
        records = RecordBlock(
            topic=PAYMENTS,
            partition=self._partitions[communes],
            key=self._keys[index(communes)],
            value=replaced(values, broken, pl.Series(spoilt, dtype=pl.String)),
            timestamp=payments.occurred_at,
            headers=self._cloud_event_headers(payments, sequence) if self._cloud_events else None,
        )
        cell = self._world.cell_of_source[payments.source]
        return PaymentBlock(day.day, records, payments, cell, sending.sent_at, sending.fault)

    def _cloud_event_headers(self, payments: Payments, sequence: IntArray) -> list[Headers]:
        """Return the attributes of CloudEvents 1.0 in binary content mode, one list a record."""
        columns = (payments.source.tolist(), sequence.tolist(), payments.occurred_at.tolist())
        return [self._cloud_event(*row) for row in zip(*columns, strict=True)]

    def _cloud_event(self, source: int, sequence: int, occurred_at: int) -> Headers:
        name = self._world.source_ids[source]
        time = dt.datetime.fromtimestamp(occurred_at / 1000, dt.UTC).isoformat(timespec="milliseconds")
        return [
            ("ce_specversion", b"1.0"),
            ("ce_type", CLOUD_EVENT_TYPE.encode()),
            ("ce_source", f"/quetma/{self._run}/{name}".encode()),
            ("ce_id", payment_id(self._run, name, sequence).encode()),
            ("ce_time", time.encode()),
            ("content-type", b"application/json"),
        ]


def spoiled(line: str) -> str:
    """Return what a broken till makes of a record: its first half."""
    return line[: len(line) // 2]


def bill_prefixes(world: World) -> list[str]:
    """Return what the bill numbers of each source begin with: sector and commune, such as ``E017-``."""
    return [
        f"{world.cells[cell].sector[0].upper()}{world.cells[cell].commune + 1:03d}-"
        for cell in world.cell_of_source.tolist()
    ]


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
