"""Which runs are shown: of each province the one that started last.

In: the ledger's run announcements, as documents. Out: whether a run is shown, and of which province.
Pure. Every view of the exporter shares one.
"""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


class ShownRuns:
    """The newest run of each province."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[int, str]] = {}

    def start(self, document: Document) -> None:
        """Learn of a run."""
        started = (document["started_at"], document["run"])
        province = document["province"]
        self._started[province] = max(started, self._started.get(province, (0, "")))

    @property
    def names(self) -> set[str]:
        """Names of the runs that are shown."""
        return {run for _, run in self._started.values()}

    @property
    def by_province(self) -> dict[str, str]:
        """The run that is shown of each province."""
        return {province: run for province, (_, run) in self._started.items()}
