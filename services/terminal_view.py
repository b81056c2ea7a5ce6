"""The live view of the demo in a terminal.

In: snapshots of all processes. Out: a rich renderable: time, pace, shares, lag, where to look.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.demo import APPLIED, Endpoints, Snapshot

LOCAL = ZoneInfo("Asia/Ho_Chi_Minh")
TOP_MARKETS = 5
BAR_WIDTH = 24
ASIDE = {
    "repeats dropped": "quetma_dropped_duplicates_total",
    "late": "quetma_late_records_total",
    "dead letters": "quetma_dead_letters_total",
}
"""What is shown where there is any: scenarios put such faults in."""
RATE_SNAPSHOTS = 7
"""Snapshots, half a second apart, that a rate is taken over."""


class TerminalView:
    """Keeps the last snapshots, for rates, and draws the newest."""

    def __init__(self, title: str, endpoints: Endpoints, token: str) -> None:
        self._title = title
        self._endpoints = endpoints
        self._token = token
        self._recent: deque[Snapshot] = deque(maxlen=RATE_SNAPSHOTS)

    def render(self, snapshot: Snapshot) -> RenderableType:
        """Take a snapshot and return what to show."""
        self._recent.append(snapshot)
        parts: list[RenderableType] = [self._flow(snapshot), "", self._shares(snapshot), "", self._places()]
        subtitle = "Ctrl-C stops in order and reconciles"
        return Panel(Group(*parts), title=f"Quetma · {self._title} · {snapshot.phase}", subtitle=subtitle, expand=False)

    def line(self, snapshot: Snapshot) -> str:
        """Take a snapshot and return one line, for where there is no terminal."""
        self._recent.append(snapshot)
        stream = snapshot.stream
        return (
            f"{snapshot.phase}: {self._simulated(snapshot)}, "
            f"acknowledged {snapshot.producer.total('quetma_acked_payments_total'):,.0f}, "
            f"processed {stream.total(APPLIED):,.0f} ({self._rate('stream', APPLIED):,.0f}/s), "
            f"lag {stream.total('quetma_lag_records'):,.0f}"
        )

    def _flow(self, snapshot: Snapshot) -> Table:
        producer, stream, exporter = snapshot.producer, snapshot.stream, snapshot.exporter
        p99 = exporter.quantile("quetma_event_to_metric_seconds", 0.99)
        table = Table.grid(padding=(0, 2))
        table.add_row("simulated time", Text(self._simulated(snapshot), style="bold cyan"))
        table.add_row(
            "acknowledged",
            f"{producer.total('quetma_acked_payments_total'):>14,.0f}",
            f"{self._rate('producer', 'quetma_acked_payments_total'):>9,.0f}/s",
        )
        table.add_row("processed", f"{stream.total(APPLIED):>14,.0f}", f"{self._rate('stream', APPLIED):>9,.0f}/s")
        table.add_row("exported", f"{exporter.total('quetma_payments_total'):>14,.0f}")
        table.add_row("lag", f"{stream.total('quetma_lag_records'):>14,.0f}", _held(snapshot))
        table.add_row("event→metric p99", "-" if p99 is None else f"{p99 * 1000:>11,.0f} ms")
        for title, name in ASIDE.items():
            if count := stream.total(name):
                table.add_row(title, Text(f"{count:>14,.0f}", style="yellow"))
        if snapshot.restarts:
            table.add_row("restarts", Text(f"{snapshot.restarts:>14}", style="yellow"))
        return table

    def _shares(self, snapshot: Snapshot) -> Table:
        table = Table(box=None, padding=(0, 2), show_header=True)
        table.add_column("cashless, by count")
        table.add_column("")
        table.add_column("share", justify="right")
        table.add_column("payments today", justify="right")
        for labels, share in _by_count(snapshot, "quetma_province_cashless_share"):
            table.add_row(Text(labels["province"], style="bold"), _bar(share), f"{share:6.1%}")
        shares = {labels["market"]: share for labels, share in _by_count(snapshot, "quetma_market_cashless_share")}
        busiest = sorted(snapshot.exporter.series("quetma_market_payments"), key=lambda one: -one[1])
        for labels, payments in busiest[:TOP_MARKETS]:
            market, share = labels["market"], shares.get(labels["market"], 0.0)
            table.add_row(f"{market} ({labels['commune']})", _bar(share), f"{share:6.1%}", f"{payments:,.0f}")
        return table

    def _places(self) -> Table:
        points = self._endpoints
        table = Table.grid(padding=(0, 2))
        table.add_row("browser", Text(points.page(self._token), style="cyan"), "live page")
        table.add_row("Prometheus", Text(points.url(points.exporter), style="cyan"), "adoption")
        table.add_row("", Text(points.url(points.stream), style="cyan"), "stream worker")
        table.add_row("", Text(points.url(points.producer), style="cyan"), "producer")
        return table

    def _simulated(self, snapshot: Snapshot) -> str:
        reached = snapshot.producer.total("quetma_produced_time_seconds")
        return f"{dt.datetime.fromtimestamp(reached, LOCAL):%a %Y-%m-%d %H:%M}" if reached else "-"

    def _rate(self, process: str, name: str) -> float:
        first, last = self._recent[0], self._recent[-1]
        seconds = last.at - first.at
        grown = getattr(last, process).total(name) - getattr(first, process).total(name)
        return max(0.0, grown / seconds) if seconds > 0 else 0.0


def _held(snapshot: Snapshot) -> str:
    held = snapshot.producer.total("quetma_held_back_seconds_total")
    return f"producer held back {held:.0f} s" if held >= 1 else ""


def _by_count(snapshot: Snapshot, name: str) -> list[tuple[dict[str, str], float]]:
    return [(labels, share) for labels, share in snapshot.exporter.series(name) if labels["by"] == "count"]


def _bar(share: float) -> Text:
    filled = round(share * BAR_WIDTH)
    return Text("█" * filled, style="green").append("░" * (BAR_WIDTH - filled), style="dim")
