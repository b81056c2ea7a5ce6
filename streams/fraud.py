"""Payments that went to another account than their till has registered: a stranger's code stuck over the stall's own.

In: suspects, found by the fold; the accounts that tills have registered. Out: alerts, and who is suspected still.
Pure. A till may register while its first payments are on their way, so that an account which is not known yet is no
proof: such a suspect stays in the partition's state until the account is known, or its hour has closed and a few
seconds more, since at full speed an hour closes before the till's account has been read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from schemas.events import SCHEMA_VERSION, Alert
from schemas.types import struct_of
from streams.cells import HOUR_MS

LOOKS: Final = 25
"""Times that the accounts are read to their end before a till counts as unregistered: some seconds."""
_AlertRow = struct_of(Alert)
_encode = msgspec.json.Encoder().encode


class Accounts(Protocol):
    """Where registered accounts are looked up: the worker's copy of ``quetma.accounts``."""

    def of_run(self, run: str) -> Mapping[str, str] | None:
        """Return the accounts of a run's tills by source; None of a run that registers none."""


class NoAccounts:
    """Nobody registers, so nobody is suspected."""

    def of_run(self, run: str) -> None:
        """Return None."""


NOBODY = NoAccounts()


class Suspect(msgspec.Struct, gc=False):
    """A payment whose beneficiary was not what its till was known to have registered."""

    run: str
    source: str
    cell: str
    commune: str
    payment_id: str
    beneficiary: str
    amount_vnd: int
    occurred_at: int
    looks: int = 0
    """How often its account was looked up in vain."""


_OF_PAYMENT = tuple(name for name in Suspect.__struct_fields__ if name != "looks")


def suspect(row: Any) -> Suspect:
    """Return what is kept of a payment."""
    return Suspect(**{name: getattr(row, name) for name in _OF_PAYMENT})


def judged(
    suspects: Iterable[Suspect], accounts: Accounts, watermarks: Mapping[str, int]
) -> tuple[list[tuple[bytes, bytes]], list[Suspect]]:
    """Return key and wire form of the alerts, and the suspects of whom nothing can be said yet.

    Args:
        suspects: payments.
        accounts: what tills have registered by now.
        watermarks: of each run, the time up to which windows have closed, UTC epoch milliseconds.
    """
    alerts, rest = [], []
    for one in suspects:
        registered = (accounts.of_run(one.run) or {}).get(one.source)
        has_closed = (one.occurred_at // HOUR_MS + 1) * HOUR_MS <= watermarks.get(one.run, 0)
        if registered is None and not (has_closed and one.looks >= LOOKS):
            rest.append(one)
        elif registered != one.beneficiary:
            alerts.append((f"{one.run}|{one.payment_id}".encode(), _alert(one, registered)))
    return alerts, rest


def unsure(suspects: Iterable[Suspect], accounts: Accounts) -> list[Suspect]:
    """Return those whose account is not known: for them it is worth while to read the accounts again."""
    return [one for one in suspects if (accounts.of_run(one.run) or {}).get(one.source) is None]


def looked_up(suspects: Iterable[Suspect], accounts: Accounts) -> None:
    """Take note that the accounts have been read to their end, for those whose account is not known yet."""
    for one in unsure(suspects, accounts):
        one.looks += 1


def _alert(one: Suspect, registered: str | None) -> bytes:
    alert: bytes = _encode(
        _AlertRow(
            schema_version=SCHEMA_VERSION,
            kind="unregistered" if registered is None else "other_account",
            registered=registered,
            **{name: getattr(one, name) for name in _OF_PAYMENT},
        )
    )
    return alert
