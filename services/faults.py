"""Faults on the way to the stream: those that the producer put in, and what the stream found of them.

In: a run's `RunFaults` from the ledger, the totals of its communes, ``quetma.payments.dead-letters``. Out: by kind of
fault, how many the ledger and the stream count, and where the stream counts too few.
Kafka may write a batch twice that is sent again, so the stream may well find more than were put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from schemas.events import DeadLetterReason
from schemas.topics import DEAD_LETTERS
from services.topic_reader import read_all

KINDS = ("duplicates", "malformed", "late", "out_of_order")
SURE = ("duplicates", "malformed")
"""Kinds that the stream cannot fail to find. A late payment is late only where its hour has closed meanwhile, and
one out of order leaves no trace."""

Faults = dict[str, dict[str, int]]
"""Kind → ``ledger`` and, where the stream can tell, ``stream``; kinds that the producer did not put in left out."""


def put_in(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many faults of each kind the shards of a run have put in."""
    listed = list(entries)
    return {kind: sum(entry.get(kind, 0) for entry in listed) for kind in KINDS}


def compare_faults(sent: Mapping[str, int], found: Mapping[str, int]) -> Faults:
    """Return both sides of each kind that was put in."""
    return {
        kind: {"ledger": count} | ({"stream": found[kind]} if kind in found else {})
        for kind, count in sent.items()
        if count
    }


def missing_faults(faults: Faults) -> Iterator[dict[str, Any]]:
    """Yield, as differences between ledger and aggregates, the faults that the stream must have found and has not."""
    for kind in SURE:
        counts = faults.get(kind, {"ledger": 0, "stream": 0})
        if counts["stream"] < counts["ledger"]:
            yield {
                "cell": "all",
                "day": "total",
                "method": "all",
                "measure": kind,
                "ledger": counts["ledger"],
                "aggregates": counts["stream"],
            }


async def count_spoiled(bootstrap_servers: str, run: str) -> int:
    """Return the number of malformed records that name a run, each of them once."""
    places = set()
    async for letter in read_all(bootstrap_servers, (DEAD_LETTERS,)):
        if is_spoiled(letter, run):
            places.add(letter.key)
    return len(places)


def is_spoiled(letter: Any, run: str) -> bool:
    """Return whether a dead letter is a malformed record of a run: it cannot be decoded, but names it."""
    reason = dict(letter.headers).get("reason", b"").decode()
    return reason == DeadLetterReason.MALFORMED and b'"run":' + msgspec.json.encode(run) in (letter.value or b"")
