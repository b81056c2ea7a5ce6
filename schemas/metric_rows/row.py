"""A row of the table of metrics.

In: nothing. Out: `Metric`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["producer", "stream", "serve", "load"]


@dataclass(frozen=True)
class Metric:
    """A row of the table. A counter's samples end in ``_total``, as Prometheus has it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    processes: tuple[Process, ...]
    meaning: str
    collected: bool = False
    """Read from state at each scrape, by a collector, instead of being set."""

    @property
    def sample(self) -> str:
        """Return the name as queries write it."""
        return {"counter": f"{self.name}_total", "histogram": f"{self.name}_bucket"}.get(self.kind, self.name)
