"""The QR codes that stalls and bills show: static ones at stalls, dynamic ones with amount on bills.

In: codes issued, as columns. Out: a `RecordBlock` for ``quetma.qr-codes``, and one for ``quetma.accounts``.
Accounts begin with SIM and banks are fictitious: none of these codes can move money.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from producers.accounts import account_of
from producers.bill_payloads import bill_payloads
from producers.blocks import RecordBlock
from producers.digits import digits
from producers.encoding import bill_prefixes, partition_of
from producers.sectors.sector import IssuedCodes
from producers.simulation.columns import NO_BILL
from producers.simulation.world import World
from schemas.events import SCHEMA_VERSION, Sector
from schemas.qr import FICTITIOUS_BANKS, PayloadTemplate
from schemas.topics import ACCOUNTS, QR_CODES

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


@dataclass(frozen=True)
class _Till:
    """What all codes of a till have in common, as text."""

    name: str
    commune: str
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
        codes, shown = self._bills(issued) if _are_bills(issued) else self._counters(issued)
        begin = f'{{"schema_version":{SCHEMA_VERSION},"run":"{self._run}","code":"'
        values = pl.concat_str(pl.lit(begin), codes, shown, pl.lit(f',"issued_at":{issued.issued_at}}}'))
        key, value = pl.select(pl.concat_str(pl.lit(f"{self._run}|"), codes), value=values)
        return RecordBlock(
            topic=QR_CODES,
            partition=self._partition[self._world.commune_of_source[issued.source]],
            key=key,
            value=value,
            timestamp=np.full(len(value), issued.issued_at),
        )

    def registered(self, issued: IssuedCodes) -> RecordBlock | None:
        """Encode the accounts that counters register with their static codes; None if there are none among the codes.

        One record each, key: run and source, partition: that of the commune.
        """
        if not len(issued.source) or _are_bills(issued):
            return None
        begin = f'{{"schema_version":{SCHEMA_VERSION},"run":"{self._run}","source":"'
        tills = [self._till(source) for source in issued.source.tolist()]
        accounts = [account_of(self._world, source) for source in issued.source.tolist()]
        rows = zip(tills, accounts, strict=True)
        values = [
            f'{begin}{till.name}","commune":"{till.commune}","account":"{account}","registered_at":{issued.issued_at}}}'
            for till, account in rows
        ]
        return RecordBlock(
            topic=ACCOUNTS,
            partition=self._partition[self._world.commune_of_source[issued.source]],
            key=pl.Series([f"{self._run}|{till.name}" for till in tills]),
            value=pl.Series(values),
            timestamp=np.full(len(values), issued.issued_at),
        )

    def _bills(self, issued: IssuedCodes) -> tuple[pl.Series, pl.Series]:
        """Return the codes of bills of one till, and what is shown there, payload and amount, as text."""
        till = self._till(int(issued.source[0]))
        payloads = bill_payloads(till.template, issued.amount_vnd, till.prefix, issued.bill)
        shown = pl.concat_str(
            pl.lit(f'{till.middle}dynamic","payload":"'), payloads, pl.lit('","amount_vnd":'), digits(issued.amount_vnd)
        )
        codes = pl.concat_str(pl.lit(till.prefix), digits(issued.bill))
        return pl.select(codes).to_series(), pl.select(shown).to_series()

    def _counters(self, issued: IssuedCodes) -> tuple[pl.Series, pl.Series]:
        """Return the codes of counters, and what is shown there, as text."""
        tills = [self._till(source) for source in issued.source.tolist()]
        shown = [f'{till.middle}static","payload":"{till.template.static()}"' for till in tills]
        return pl.Series([till.name for till in tills], dtype=pl.String), pl.Series(shown, dtype=pl.String)

    def _new_till(self, source: int) -> _Till:
        name = self._world.source_ids[source]
        commune = self._world.places[self._world.commune_of_source[source]].id
        middle = f'","source":"{name}","commune":"{commune}","kind":"'
        return _Till(name, commune, self._prefixes[source], self._new_template(source), middle)

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


def _are_bills(issued: IssuedCodes) -> bool:
    return bool(len(issued.bill)) and issued.bill[0] != NO_BILL


def _merchant(source: str) -> str:
    """Return a made-up name for a till, from its id: 25 characters at most."""
    return source.replace("/", " ").upper()[-25:].strip(" -")
