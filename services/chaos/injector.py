"""Does faults to a running system.

In: `Fault`s, the fleet, the broker, the proxy. Out: `Incident`s: what was done to whom, and how long it took until
payments flowed again. Faults of the same thing follow each other, those of different things may overlap.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.chaos.brokers import Broker
from services.chaos.faults import OF_BROKER, OF_LINKS, Fault, Kind
from services.chaos.fleet import Fleet, Member
from services.chaos.proxy import Proxy
from services.chaos.watch import Watch

FLOWS_SECONDS = 120.0
"""Longest wait until payments flow again after a fault."""
SLOW_SECONDS = 0.05
"""Delay of each piece of 64 KiB, both ways: an answer takes a tenth of a second, a connection 1.3 MB/s at most."""


@dataclass
class Incident:
    """A fault that was done."""

    fault: Fault
    began: float
    """Seconds after the first payment was acknowledged: later than planned if the same thing had another fault."""
    target: str = ""
    recovery_seconds: float | None = None
    """From its beginning until all processes answered and every partition went on; None if it never did."""


class Injector:
    """Does one fault at a time or several at once."""

    def __init__(self, fleet: Fleet, watch: Watch, broker: Broker, proxy: Proxy | None) -> None:
        self._fleet, self._watch, self._broker, self._proxy = fleet, watch, broker, proxy
        self._broker_busy, self._link_busy = asyncio.Lock(), asyncio.Lock()

    async def inject(self, fault: Fault, begun: float, tell: Callable[[Incident], None]) -> Incident:
        """Do a fault, wait until payments flow again, and tell of it.

        Args:
            fault: what to do, now.
            begun: the beginning of all faults, on the monotonic clock.
            tell: is given the incident when it is over.
        """
        incident = Incident(fault, 0.0)

        def begin(target: str) -> None:
            incident.began, incident.target = round(time.monotonic() - begun, 3), target

        if fault.kind in OF_BROKER:
            await self._to_broker(fault, begin)
        elif fault.kind in OF_LINKS:
            await self._to_links(fault, begin)
        elif fault.kind is Kind.SCALE_WORKERS:
            await self._scale(fault, begin)
        else:
            await self._to_process(fault, begin)
        if await self._watch.flows(FLOWS_SECONDS):
            incident.recovery_seconds = round(time.monotonic() - begun - incident.began, 3)
        tell(incident)
        return incident

    async def _to_broker(self, fault: Fault, begin: Callable[[str], None]) -> None:
        async with self._broker_busy:
            begin("broker")
            if fault.kind is Kind.KILL_BROKER:
                self._broker.kill()
            else:
                await self._broker.stop()
            await asyncio.sleep(fault.seconds)
            await self._broker.start()

    async def _to_links(self, fault: Fault, begin: Callable[[str], None]) -> None:
        proxy = self._proxy
        assert proxy is not None, "plan has faults of links only where there is a proxy"
        if fault.kind is Kind.CUT_ALL:
            begin(f"{proxy.cut_all()} connections")
            return
        if fault.kind is Kind.CUT_ONE:
            begin(f"{proxy.cut_one(fault.target)} connection")
            return
        async with self._link_busy:
            begin("all connections")
            if fault.kind is Kind.SLOW:
                proxy.delay_seconds = SLOW_SECONDS
            else:
                proxy.stall()
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                proxy.go_on()

    async def _scale(self, fault: Fault, begin: Callable[[str], None]) -> None:
        self._fleet.scale(fault.target)
        begin(f"{fault.target} workers")

        async def follow(member: Member) -> None:
            async with member.busy:
                if member.wanted:
                    self._fleet.start(member)
                else:
                    await self._fleet.stop(member)

        await asyncio.gather(*(follow(one) for one in self._fleet.workers))

    async def _to_process(self, fault: Fault, begin: Callable[[str], None]) -> None:
        how, _, what = fault.kind.partition("-")
        while True:
            present = [one for one in self._fleet.present if one.name.startswith(what) and one.child is not None]
            member = present[fault.target % len(present)]
            async with member.busy:
                if member.wanted:  # it may have been taken away while we waited for its turn
                    begin(member.name)
                    await self._harm(member, how, fault.seconds)
                    return

    async def _harm(self, member: Member, how: str, seconds: float) -> None:
        child = member.child
        assert child is not None
        if how == "pause":
            child.send(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                child.send(signal.SIGCONT)
            return
        if how == "kill":
            child.kill()
        else:
            await self._fleet.stop(member)
        await asyncio.sleep(seconds)
        if member.wanted:
            self._fleet.start(member)
