"""Verification: the ledger against the aggregates, cell by cell, count and VND, by method.

In: ``quetma.ledger``, the adoption topics, and dead letters where the producer put faults in. Out: a `Verdict` that
says where they differ, if they do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.errors import CheckFailedError
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, LEDGER
from services.books import both, mismatches, of_aggregates, of_ledger
from services.faults import Faults, compare_faults, count_spoiled, missing_faults, put_in
from services.topic_reader import read_all

POLL_SECONDS = 0.5
HOURLY = b"|hour|"
"""In the keys of hourly windows, which the ledger has nothing to compare with."""

_decode = msgspec.json.Decoder().decode


class _Progress(msgspec.Struct, order=True, gc=False):
    """How far an adoption record is, compared field by field."""

    revision: int
    duplicates: int = 0
    late: int = 0
    final: bool = False


_progress = msgspec.json.Decoder(_Progress).decode


@dataclass(frozen=True)
class Verdict:
    """What verification found. Payments are all of them, failed ones and reversals included, and no copies.

    Amounts are of settled ones, and those of reversals beside.
    """

    run: str
    cells: int
    payments: dict[str, int]
    amount_vnd: dict[str, int]
    reversed_vnd: dict[str, int]
    duplicates: int
    late: int
    faults: Faults
    """What the producer put in, and what the stream found of it."""
    mismatches: list[dict[str, Any]]

    @property
    def exact(self) -> bool:
        """Whether ledger and aggregates agree everywhere, and no fault that was put in is missing."""
        return not self.mismatches

    def document(self) -> dict[str, Any]:
        """Return it as `quetma verify --json` prints it."""
        return {
            "exact": self.exact,
            "run": self.run,
            "cells": self.cells,
            "payments": self.payments,
            "amount_vnd": self.amount_vnd,
            "reversed_vnd": self.reversed_vnd,
            "duplicates": self.duplicates,
            "late": self.late,
            "faults": self.faults,
            "mismatches": self.mismatches,
        }


async def verify(bootstrap_servers: str, run: str | None = None, *, wait_seconds: float = 0.0) -> Verdict:
    """Compare the books of a run.

    Args:
        bootstrap_servers: the broker.
        run: its name; the one that started last if None.
        wait_seconds: how long to go on while they differ and the aggregates still move.

    Raises:
        CheckFailedError: if the ledger has no such run.
    """
    before: Verdict | None = None
    still_since = time.monotonic()
    while True:
        verdict = await _verify_once(bootstrap_servers, run)
        if before is None or _reached(verdict) != _reached(before):
            still_since = time.monotonic()
        if verdict.exact or time.monotonic() - still_since >= wait_seconds:
            return verdict
        before = verdict
        await asyncio.sleep(POLL_SECONDS)


def _reached(verdict: Verdict) -> tuple[Any, ...]:
    """Return how far the stream has come."""
    return verdict.payments["aggregates"], verdict.duplicates, verdict.faults


async def _verify_once(servers: str, run: str | None) -> Verdict:
    newest: dict[bytes, bytes] = {}
    started: dict[str, int] = {}
    # The aggregates first: the ledger may be ahead of them, never behind what was acknowledged before.
    for topics in ((ADOPTION_MARKET, ADOPTION_COMMUNE), (LEDGER,)):
        async for record in read_all(servers, topics):
            place = record.topic.encode() + b"|" + record.key
            if HOURLY not in record.key and (record.topic == LEDGER or is_newer(record.value, newest.get(place))):
                newest[place] = record.value
    documents = [_decode(value) for value in newest.values()]
    for document in documents:
        if document.get("kind") == "run_started":
            started[document["run"]] = document["started_at"]
    chosen = run or max(started, key=lambda name: started[name], default=None)
    if chosen is None or chosen not in started:
        known = ", ".join(started) or "none"
        raise CheckFailedError("verify", f"the ledger has no run {chosen or 'at all'}", f"runs there: {known}")
    mine = [document for document in documents if document["run"] == chosen]
    faults = put_in(one for one in mine if one.get("kind") == "run_faults")
    return compare(
        chosen,
        ledger=[one for one in mine if one.get("kind") == "cell_day"],
        aggregates=[one for one in mine if "window" in one],
        faults=faults,
        spoiled=await count_spoiled(servers, chosen) if faults["malformed"] else 0,
    )


def is_newer(record: bytes, known: bytes | None) -> bool:
    """Return whether an adoption record is as far as the one known.

    The last one need not be: what a worker has told that was paused, or cut off, may land after its successor's.
    """
    return known is None or _progress(record) >= _progress(known)


def compare(
    run: str,
    *,
    ledger: Iterable[dict[str, Any]],
    aggregates: Iterable[dict[str, Any]],
    faults: Mapping[str, int] | None = None,
    spoiled: int = 0,
) -> Verdict:
    """Compare the books of one run.

    Args:
        run: its name.
        ledger: its cell days, as documents.
        aggregates: its newest adoption records, as documents.
        faults: by kind, how many faults were put in.
        spoiled: how many malformed records are among the dead letters.
    """
    emitted = list(aggregates)
    left, cells = of_ledger(ledger)
    right = of_aggregates(emitted)
    totals = [one for one in emitted if one["window"] == "total" and "market" not in one]
    duplicates, late = (sum(one.get(count, 0) for one in totals) for count in ("duplicates", "late"))
    found = compare_faults(faults or {}, {"duplicates": duplicates, "malformed": spoiled, "late": late})
    return Verdict(
        run=run,
        cells=cells,
        payments=both(left, right, "settled", "failed", "reversed"),
        amount_vnd=both(left, right, "amount_vnd"),
        reversed_vnd=both(left, right, "reversed_vnd"),
        duplicates=duplicates,
        late=late,
        faults=found,
        mismatches=[*mismatches(left, right), *missing_faults(found)],
    )
