"""The QR codes that stalls and bills show: static ones at stalls, dynamic ones with amount on bills.

In: codes issued, as columns. Out: a `RecordBlock` for ``quetma.qr-codes``.
Accounts begin with SIM and banks are fictitious: none of these codes can move money.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import numpy as np

from producers.accounts import account_of
from producers.blocks import RecordBlock
from producers.encoding import bill_prefixes, partition_of
from producers.sectors.sector import IssuedCodes
from producers.simulation.columns import NO_BILL
from producers.simulation.world import World
from schemas.events import SCHEMA_VERSION, Sector
from schemas.qr import FICTITIOUS_BANKS, PayloadTemplate
from schemas.topics import QR_CODES

MCC: dict[Sector, str] = {
    "market_stall": "5499",
    "electricity": "4900",
    "water": "4900",
    "tuition": "8211",
    "hospital": "8062",
    "public_service": "9399",
    "ecommerce": "5964",
}
"""Merchant category codes of ISO 18245: food stores, utilities, schools, hospitals, government, catalogue trade."""


_Columns = tuple[list[str], Iterable[str], list[str], Iterable[str]]
"""Of each code: itself, the text from it to the payload, the payload, and the text with the amount."""


@dataclass(frozen=True)
class _Till:
    """What all codes of a till have in common, as text."""

    name: str
    prefix: str
    """Of its bills' numbers."""
    template: PayloadTemplate
    middle: str
    """From the code to the payload; the kind is left open."""


class CodeEncoder:
    """Encodes the QR codes of one run of one world.

    The text is that of `schemas.events.encode`: no id and no payload has a character that JSON would escape.
    """

    def __init__(self, world: World, run: str, partitions: int) -> None:
        self._world = world
        self._run = run
        self._prefixes = bill_prefixes(world)
        self._partition = np.array([partition_of(place.id.encode(), partitions) for place in world.places])
        self._till = lru_cache(maxsize=1024)(self._new_till)

    def block(self, issued: IssuedCodes) -> RecordBlock:
        """Encode codes: one record each, key: run and code, partition: that of the commune."""
        codes, middles, payloads, amounts = self._bills(issued) if self._are_bills(issued) else self._counters(issued)
        begin = f'{{"schema_version":{SCHEMA_VERSION},"run":"{self._run}","code":"'
        end = f',"issued_at":{issued.issued_at}}}'
        rows = zip(codes, middles, payloads, amounts, strict=True)
        values = [f'{begin}{code}{middle}{payload}"{vnd}{end}'.encode() for code, middle, payload, vnd in rows]
        key = f"{self._run}|"
        return RecordBlock(
            topic=QR_CODES,
            partition=self._partition[self._world.commune_of_source[issued.source]],
            key=[f"{key}{code}".encode() for code in codes],
            value=values,
            timestamp=[issued.issued_at] * len(values),
        )

    def _are_bills(self, issued: IssuedCodes) -> bool:
        return bool(len(issued.bill)) and issued.bill[0] != NO_BILL

    def _bills(self, issued: IssuedCodes) -> _Columns:
        till = self._till(int(issued.source[0]))
        codes = [f"{till.prefix}{bill}" for bill in issued.bill.tolist()]
        amounts = issued.amount_vnd.tolist()
        payloads = till.template.dynamics(amounts, codes)
        middle = f'{till.middle}dynamic","payload":"'
        return codes, repeat(middle, len(codes)), payloads, [f',"amount_vnd":{amount}' for amount in amounts]

    def _counters(self, issued: IssuedCodes) -> _Columns:
        tills = [self._till(source) for source in issued.source.tolist()]
        middles = [f'{till.middle}static","payload":"' for till in tills]
        return (
            [till.name for till in tills],
            middles,
            [till.template.static() for till in tills],
            repeat("", len(tills)),
        )

    def _new_till(self, source: int) -> _Till:
        name = self._world.source_ids[source]
        commune = self._world.places[self._world.commune_of_source[source]].id
        middle = f'","source":"{name}","commune":"{commune}","kind":"'
        return _Till(name, self._prefixes[source], self._new_template(source), middle)

    def _new_template(self, source: int) -> PayloadTemplate:
        cell = self._world.cells[self._world.cell_of_source[source]]
        till = int(self._world.till_of_source[source])
        banks = list(FICTITIOUS_BANKS)
        return PayloadTemplate(
            account=account_of(self._world, source),
            bin=banks[till % len(banks)],
            mcc=MCC[cell.sector],
            merchant_name=_merchant(self._world.source_ids[source]),
        )


def _merchant(source: str) -> str:
    """Return a made-up name for a till, from its id: 25 characters at most."""
    return source.replace("/", " ").upper()[-25:].strip(" -")
