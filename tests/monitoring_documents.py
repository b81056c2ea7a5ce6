"""Documents as the exporter reads them: ledger, adoption, alerts, of one run that begins at midnight of day 0.

In: a day, counts by method. Out: documents.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET
from tests.stream_model import HOUR_MS, MIDNIGHT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]
Counts = dict[str, tuple[int, int]]
"""Method → settled payments and their VND."""

DAY_MS = 24 * HOUR_MS
FIRST_DAY = dt.datetime.fromtimestamp((MIDNIGHT_MS + 7 * HOUR_MS) / 1000, dt.UTC).date()
RUN, PROVINCE, COMMUNE, MARKET = "run-1", "an-giang", "binh-an", "cho-binh-an"


def run_started(run: str = RUN, started_at: int = MIDNIGHT_MS) -> Json:
    return {"kind": "run_started", "run": run, "province": PROVINCE, "started_at": started_at}


def day_name(day: int) -> str:
    """ISO date of a day, counted from the first."""
    return (FIRST_DAY + dt.timedelta(days=day)).isoformat()


def tallies(counts: Counts, failed: int = 0) -> Json:
    """Tallies by method; failed ones belong to VietQR."""
    by_method: Json = {
        method: {"settled": settled, "failed": 0, "amount_vnd": vnd} for method, (settled, vnd) in counts.items()
    }
    if failed:
        by_method.setdefault("vietqr", {"settled": 0, "failed": 0, "amount_vnd": 0})["failed"] = failed
    return by_method


def ledger_day(day: int, counts: Counts, *, failed: int = 0, cell: str = MARKET, commune: str = COMMUNE) -> Json:
    return {
        "kind": "cell_day",
        "run": RUN,
        "cell": cell,
        "commune": commune,
        "sector": "market_stall",
        "day": day_name(day),
        "tallies": tallies(counts, failed),
    }


def checkpoint(shard: str, day: int) -> Json:
    return {"kind": "checkpoint", "run": RUN, "shard": shard, "day": day_name(day)}


def adoption(window: str, sectors: Mapping[str, Json], *, day: int = 0, hour: int = 0, **more: Any) -> Json:
    """A commune's adoption record with these sectors' tallies."""
    whole: Json = {}
    for by_method in sectors.values():
        for method, one in by_method.items():
            mine = whole.setdefault(method, dict.fromkeys(one, 0))
            for measure, number in one.items():
                mine[measure] += number
    document: Json = {
        "run": RUN,
        "province": PROVINCE,
        "commune": COMMUNE,
        "window": window,
        "tallies": whole,
        "by_sector": dict(sectors),
        "revision": sum(one["settled"] + one["failed"] for one in whole.values()),
        "final": False,
        "cashless_share_count": 0.5,
        "cashless_share_value": 0.5,
    }
    if window == "total":
        document |= {"duplicates": 0, "late": 0, "outside_windows": {}}
    else:
        document["start_at"] = MIDNIGHT_MS + day * DAY_MS + hour * HOUR_MS
    return document | more


def stall_day(day: int, counts: Counts, *, failed: int = 0, **more: Any) -> Json:
    """A commune's day of which all was paid at stalls."""
    return adoption("day", {"market_stall": tallies(counts, failed)}, day=day, **more)


def alert(payment_id: str, kind: str = "other_account", commune: str = COMMUNE, amount_vnd: int = 50_000) -> Json:
    return {"kind": kind, "run": RUN, "payment_id": payment_id, "commune": commune, "amount_vnd": amount_vnd}


def week_of(days: int = 8) -> Iterator[tuple[str, Json]]:
    """Some days of a commune with half of 1 200 payments cashless, each with its topic; the first one is final."""
    day = {"cash": (600, 60_000), "vietqr": (600, 90_000)}
    for number in range(days):
        so_far = {method: (settled * number, vnd * number) for method, (settled, vnd) in day.items()}
        yield ADOPTION_COMMUNE, adoption("total", {"market_stall": tallies(so_far)})
        document = stall_day(number, day, final=number == 0)
        yield ADOPTION_COMMUNE, document
        yield ADOPTION_MARKET, {**document, "market": MARKET}
        yield ADOPTION_COMMUNE, adoption("hour", {"market_stall": tallies(day)}, day=number, hour=9)
