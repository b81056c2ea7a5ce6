"""The processes under test: two producers of one run, one to three stream workers, an exporter.

In: a broker's address, a scenario. Out: real `quetma` processes; what died is started again, as a supervisor would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import ExitCode, UnreachableError
from services.broker import LOOPBACK, free_port
from services.scrape import Samples, scrape
from services.supervisor import Child

PRODUCERS, MOST_WORKERS = 2, 3
KEEP_SECONDS = 0.2
AGAIN_SECONDS = 1.0
"""What dies by itself is started again after so long."""
SCRAPE_SECONDS = 1.0


@dataclass
class Member:
    """A process of the fleet, and how often it ended by itself."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    port: int
    """Where it answers scrapes."""
    child: Child | None = None
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a fault is done to it: faults of one process follow each other."""
    wanted: bool = True


@dataclass(frozen=True)
class Ended:
    """A process that ended by itself, or otherwise than it was asked to."""

    at: float
    """Seconds since the fleet was made."""
    name: str
    exit_code: int
    log_end: str


@dataclass(frozen=True)
class Load:
    """What the producers are to do."""

    scenario: str
    run: str
    shards: int = PRODUCERS
    """Of how many shards the producers take one each; more than producers for a small load."""
    rate: float | None = None
    """Payments a second of each producer; at full speed if None."""
    max_lag: int = 50_000
    """Records that the stream may be behind before the producers wait."""


class Fleet:
    """Starts, watches and ends the processes.

    Args:
        servers: the broker.
        load: what the producers do.
        session_seconds: silence that ends a worker's membership.
        most_ends: how often processes may end by themselves before the system counts as one that does not work.
        folder: for their logs.
    """

    def __init__(self, servers: str, load: Load, session_seconds: float, most_ends: int, folder: Path) -> None:
        self._folder, self._most_ends = folder, most_ends
        self._begun = time.monotonic()
        self._common = {
            "QUETMA_KAFKA__BOOTSTRAP_SERVERS": servers,
            "QUETMA_STREAM__SESSION_TIMEOUT_SECONDS": f"{session_seconds:g}",
            "QUETMA_PRODUCER__MAX_LAG": str(load.max_lag),
            "QUETMA_SERVE__HOST": LOOPBACK,
        }
        pace = ["--speed", "max"] if load.rate is None else ["--rate", f"{load.rate:g}"]
        produce = ["produce", load.scenario, "--run", load.run, *pace, "--json"]
        self.workers = [self._member(f"worker-{n + 1}", ["stream"], "STREAM__METRICS") for n in range(MOST_WORKERS)]
        self.producers = [
            self._member(f"producer-{n + 1}", [*produce, "--shard", f"{n + 1}/{load.shards}"], "PRODUCER__METRICS")
            for n in range(PRODUCERS)
        ]
        self.exporter = self._member("exporter", ["serve"], "SERVE_")
        self.ended: list[Ended] = []

    def _member(self, name: str, arguments: list[str], port_of: str) -> Member:
        port = free_port()
        variable = f"QUETMA_{port_of}_PORT"
        own = {variable: str(port), "QUETMA_STREAM__DATA_DIR": str(self._folder / f"{name}-state")}
        return Member(name, arguments, {**self._common, **own}, port)

    @property
    def members(self) -> list[Member]:
        """All of them, in the order in which they are ended."""
        return [*self.producers, *self.workers, self.exporter]

    @property
    def present(self) -> list[Member]:
        """Those that shall run."""
        return [one for one in self.members if one.wanted]

    def scale(self, workers: int) -> None:
        """Want so many workers."""
        for number, one in enumerate(self.workers):
            one.wanted = number < workers

    def start(self, member: Member) -> None:
        """Start a process, if it does not run."""
        if member.child is None:
            member.child = Child(member.name, member.arguments, member.environment, self._folder)
        elif member.child.exit_code is not None:
            member.child.restart()

    async def stop(self, member: Member) -> None:
        """Ask a process to end; note how it did, if not well."""
        child = member.child
        if child is None or child.exit_code is not None:
            return
        child.ask_to_stop()
        code = await child.stopped()
        if code != ExitCode.DONE:
            self._note(member, code)

    async def close(self) -> None:
        """End all, producers first."""
        for one in self.members:
            one.wanted = False
        for group in (self.producers, [*self.workers, self.exporter]):
            await asyncio.gather(*(self.stop(one) for one in group))

    async def keep(self) -> None:
        """Start again what ends by itself, for ever.

        Raises:
            UnreachableError: if a process ends for good: its arguments are refused, or it never stays.
        """
        while True:
            for one in self.present:
                if not one.busy.locked() and one.child is not None and one.child.exit_code is not None:
                    await self._bring_back(one, one.child.exit_code)
            await asyncio.sleep(KEEP_SECONDS)

    async def _bring_back(self, member: Member, code: int) -> None:
        self._note(member, code)
        if code == ExitCode.BAD_INPUT or len(self.ended) > self._most_ends:
            raise UnreachableError("chaos", f"{member.name} ended with exit code {code}", self.ended[-1].log_end)
        async with member.busy:
            await asyncio.sleep(AGAIN_SECONDS)
            if member.wanted:
                self.start(member)

    def _note(self, member: Member, code: int) -> None:
        assert member.child is not None
        self.ended.append(Ended(round(time.monotonic() - self._begun, 1), member.name, code, member.child.log_end(600)))

    async def look(self) -> dict[str, Samples]:
        """Scrape all that run; what does not answer in time has no samples."""
        names = [one.name for one in self.present]
        found = await asyncio.gather(*(_scraped(one.port) for one in self.present))
        return dict(zip(names, found, strict=True))

    def logs(self) -> Iterator[str]:
        """Yield the end of what each has said."""
        for one in self.members:
            if one.child is not None:
                yield f"-- {one.name}\n{one.child.log_end(600)}"


async def _scraped(port: int) -> Samples:
    try:
        async with asyncio.timeout(SCRAPE_SECONDS):
            return await scrape(f"http://{LOOPBACK}:{port}/metrics")
    except TimeoutError:
        return Samples()
