"""What a process says of itself on /metrics.

In: the URL of an endpoint. Out: `Samples`.
"""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT = aiohttp.ClientTimeout(total=3.0)
PLAIN = {"Accept-Encoding": "identity"}
"""On loopback, compressing costs both sides more than it saves."""


class Samples:
    """The samples of one scrape."""

    def __init__(self, text: str = "") -> None:
        self._values: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._values.setdefault(sample.name, []).append((sample.labels, sample.value))

    def __bool__(self) -> bool:
        return bool(self._values)

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of every series of a name."""
        return self._values.get(name, [])

    def total(self, name: str) -> float:
        """Return the sum over all series of a name, 0 where there is none."""
        return sum(value for _, value in self.series(name))

    def quantile(self, histogram: str, share: float) -> float | None:
        """Estimate a quantile of a histogram by linear interpolation in its bucket, as Prometheus does."""
        return quantile(
            sorted((float(labels["le"]), count) for labels, count in self.series(f"{histogram}_bucket")), share
        )


def quantile(buckets: Sequence[tuple[float, float]], share: float) -> float | None:
    """Estimate a quantile from upper bounds and how many were at most that, in order; None if there were none."""
    if not buckets or not buckets[-1][1]:
        return None
    rank = share * buckets[-1][1]
    lower, below = 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            if upper == float("inf"):
                return lower
            return lower + (upper - lower) * (rank - below) / max(count - below, 1.0)
        lower, below = upper, count
    return lower


async def scrape(url: str) -> Samples:
    """Scrape an endpoint; nothing if it does not answer."""
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT, headers=PLAIN) as session, session.get(url) as response:
            return Samples(await response.text())
    except (aiohttp.ClientError, TimeoutError):
        return Samples()
