"""The QR codes that stalls and bills show: static ones at stalls, dynamic ones with amount on bills.

In: codes issued, as columns. Out: a `RecordBlock` for ``quetma.qr-codes``.
Accounts begin with SIM and banks are fictitious: none of these codes can move money.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from producers.blocks import RecordBlock
from producers.encoding import bill_prefixes, partition_of
from producers.sectors.sector import NO_BILL, IssuedCodes
from producers.simulation.world import World
from schemas.events import SCHEMA_VERSION, QrCode
from schemas.qr import ACCOUNT_PREFIX, FICTITIOUS_BANKS, PayloadTemplate
from schemas.topics import QR_CODES
from schemas.types import struct_of

MCC = {"market_stall": "5499", "electricity": "4900", "water": "4900"}
"""Merchant category codes of ISO 18245: food stores, utilities."""

_Row = struct_of(QrCode)
_encode = msgspec.json.Encoder().encode


class CodeEncoder:
    """Encodes the QR codes of one run of one world."""

    def __init__(self, world: World, run: str, partitions: int) -> None:
        self._world = world
        self._run = run
        self._prefixes = bill_prefixes(world)
        self._partition = [partition_of(place.id.encode(), partitions) for place in world.places]
        self._template = lru_cache(maxsize=1024)(self._new_template)

    def block(self, issued: IssuedCodes) -> RecordBlock:
        """Encode codes: one record each, key: run and code, partition: that of the commune."""
        columns = zip(issued.source.tolist(), issued.bill.tolist(), issued.amount_vnd.tolist(), strict=True)
        rows = [self._row(source, bill, amount, issued.issued_at) for source, bill, amount in columns]
        communes = self._world.commune_of_source[issued.source].tolist()
        return RecordBlock(
            topic=QR_CODES,
            partition=np.array([self._partition[commune] for commune in communes], dtype=np.int64),
            key=[f"{row.run}|{row.code}".encode() for row in rows],
            value=[_encode(row) for row in rows],
            timestamp=[issued.issued_at] * len(rows),
        )

    def _row(self, source: int, bill: int, amount_vnd: int, issued_at: int) -> QrCode:
        cell = self._world.cells[self._world.cell_of_source[source]]
        static = bill == NO_BILL
        code = self._world.source_ids[source] if static else f"{self._prefixes[source]}{bill}"
        template = self._template(source)
        row: QrCode = _Row(
            schema_version=SCHEMA_VERSION,
            run=self._run,
            code=code,
            source=self._world.source_ids[source],
            commune=self._world.places[cell.commune].id,
            kind="static" if static else "dynamic",
            payload=template.static() if static else template.dynamic(amount_vnd, code),
            amount_vnd=None if static else amount_vnd,
            issued_at=issued_at,
        )
        return row

    def _new_template(self, source: int) -> PayloadTemplate:
        cell = self._world.cells[self._world.cell_of_source[source]]
        till = int(self._world.till_of_source[source])
        banks = list(FICTITIOUS_BANKS)
        return PayloadTemplate(
            account=f"{ACCOUNT_PREFIX}{cell.commune + 1:03d}{till:08d}",
            bin=banks[till % len(banks)],
            mcc=MCC[cell.sector],
            merchant_name=_merchant(self._world.source_ids[source]),
        )


def _merchant(source: str) -> str:
    """Return a made-up name for a till, from its id: 25 characters at most."""
    return source.replace("/", " ").upper()[-25:].strip(" -")
