"""One run of chaos: start everything, do the faults, let the stream catch up, judge.

In: a `Course`, a broker. Out: a report as a document. All processes end with it, whatever happens.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import BadInputError, UnreachableError
from schemas.settings import KafkaSettings
from schemas.topics import PAYMENTS
from services.broker import free_port
from services.chaos.brokers import Broker, GivenBroker, MakeBroker, MemoryBroker
from services.chaos.faults import OF_BROKER, OF_LINKS, Fault, Kind, plan
from services.chaos.fleet import Fleet, Load
from services.chaos.injector import Incident, Injector
from services.chaos.judge import Evidence, objections, records_of, verified
from services.chaos.proxy import Proxy
from services.chaos.watch import Watch
from services.topic_admin import ensure_topics
from services.topic_reader import ends_of

READY_SECONDS = 90.0
EXPORT_SECONDS = 30.0
ENDS, ENDS_OF_A_FAULT = 20, 5
"""How often processes may end by themselves: some give up while the broker is away, and are started again."""
SCENARIO = """extends = {base}
name = "chaos"

# As many as make each kind certain in a short run.
[stream_faults]
duplicate_rate = {{ value = 0.01, source = "assumed" }}
out_of_order_rate = {{ value = 0.01, source = "assumed" }}
late_rate = {{ value = 0.001, source = "assumed" }}
malformed_rate = {{ value = 0.001, source = "assumed" }}
"""


@dataclass(frozen=True)
class Setting:
    """What a broker is called, how it comes about, and what cannot be done to it."""

    name: str
    make: MakeBroker | None
    """None: it runs already, at `servers`."""
    servers: str = ""
    left_out: dict[Kind, str] = field(default_factory=dict)
    """Kinds of faults that do not apply, and why."""
    proxy: Callable[[int], Proxy] = Proxy
    """Makes a proxy on a port; tests have one that lies."""
    session_seconds: float = 3.0
    """Silence that ends a worker's membership; Apache Kafka allows less than 6 s only where it is told to."""


NO_RESTART = "the embedded broker's memory is its only copy: it cannot be restarted, and its end is the end of the run"
NO_PROXY = "a running cluster advertises its own address, so nothing can stand between"
NOT_OURS = "a running cluster is not ours to restart"


def embedded(make: MakeBroker) -> Setting:
    """Return the setting of a broker without a disk."""
    return Setting("embedded", make, left_out=dict.fromkeys(sorted(OF_BROKER), NO_RESTART))


def given(servers: str, session_seconds: float) -> Setting:
    """Return the setting of a cluster that runs already."""
    why = dict.fromkeys(sorted(OF_LINKS), NO_PROXY) | dict.fromkeys(sorted(OF_BROKER), NOT_OURS)
    return Setting("given", None, servers, why, session_seconds=session_seconds)


@dataclass(frozen=True)
class Course:
    """What is to be done."""

    scenario: str
    seed: int
    faults: int
    seconds: float
    """The time in which faults begin."""
    without: frozenset[Kind] = frozenset()
    shards: int = 2
    rate: float | None = None
    wait_seconds: float = 30.0
    """How long nothing may move before the verdict is final."""


Tell = Callable[[str], None]
Tamper = Callable[[str, str], Any]
"""Coroutine function of a broker's address and a run's name: does harm before the judgement, for tests of the judge."""


class Chaos:
    """Runs once; `stop` ends the faults early, and what was done till then is judged.

    Raises:
        BadInputError: if no kind of fault applies.
    """

    def __init__(
        self, course: Course, setting: Setting, folder: Path, tell: Tell, tamper: Tamper | None = None
    ) -> None:
        self._course, self._setting, self._folder, self._tell, self._tamper = course, setting, folder, tell, tamper
        self.stop = asyncio.Event()
        kinds = [kind for kind in Kind if kind not in setting.left_out and kind not in course.without]
        if not kinds:
            raise BadInputError("chaos", "no kind of fault is left that applies to this broker", "leave fewer out")
        pause = setting.session_seconds
        self.plan = plan(course.seed, kinds, count=course.faults, seconds=course.seconds, session_seconds=pause)
        # On a broker of its own a run needs no other name: the same seed gives the same payments, ids included.
        self._run_name = f"chaos-{course.seed}" + ("" if setting.make else f"-{int(time.time())}")
        self._incidents: list[Incident] = []

    async def run(self) -> dict[str, Any]:
        """Run; return the report.

        Raises:
            QuetmaError: if the system does not start, or a process ends for good.
        """
        begun = time.monotonic()
        async with AsyncExitStack() as stack:
            broker, proxy = await self._start_broker(stack)
            servers = proxy.address if proxy else broker.bootstrap_servers
            await ensure_topics(KafkaSettings(bootstrap_servers=servers))
            before = await _records_on_topic(servers)
            fleet = self._fleet(servers)
            stack.push_async_callback(fleet.close)
            watch = Watch(fleet)
            work = asyncio.create_task(self._let_loose(fleet, watch, Injector(fleet, watch, broker, proxy)))
            judgement = asyncio.create_task(self._judge(work, fleet, watch, servers, before))
            beside = [fleet.keep(), watch.run(), *([broker.gone()] if isinstance(broker, MemoryBroker) else [])]
            evidence = await _first_to_end(judgement, beside)
        return self._report(evidence, fleet, time.monotonic() - begun)

    async def _start_broker(self, stack: AsyncExitStack) -> tuple[Broker, Proxy | None]:
        if self._setting.make is None:
            broker: Broker = GivenBroker(self._setting.servers)
            await broker.start()
            return broker, None
        proxy = await stack.enter_async_context(self._setting.proxy(free_port()))
        broker = self._setting.make(self._folder, proxy.address)
        proxy.upstream = broker.bootstrap_servers
        stack.push_async_callback(broker.stop)
        await broker.start()
        return broker, proxy

    def _fleet(self, servers: str) -> Fleet:
        course = self._course
        scenario = self._folder / "chaos.toml"
        base = Path(course.scenario)
        extended = str(base.resolve()) if base.suffix == ".toml" else course.scenario
        scenario.write_text(SCENARIO.format(base=f'"{extended}"'), encoding="utf-8")
        load = Load(str(scenario), self._run_name, course.shards, course.rate)
        most_ends = ENDS + ENDS_OF_A_FAULT * course.faults
        return Fleet(servers, load, self._setting.session_seconds, most_ends, self._folder)

    async def _let_loose(self, fleet: Fleet, watch: Watch, injector: Injector) -> None:
        """Start the fleet, then do every fault in its time; return when payments flow again after the last."""
        fleet.scale(1)
        for one in fleet.present:
            fleet.start(one)
        if not await watch.until(lambda: bool(watch.sight.positions), READY_SECONDS) or not await watch.flows(
            READY_SECONDS
        ):
            raise UnreachableError("chaos", f"no payment flows after {READY_SECONDS:.0f} s", "\n".join(fleet.logs()))
        begun = time.monotonic()
        self._tell(f"payments flow; {len(self.plan)} faults in {self._course.seconds:.0f} s, seed {self._course.seed}")
        async with asyncio.TaskGroup() as group:
            for fault in self.plan:
                if await self._stopped_before(begun + fault.at):
                    break
                group.create_task(self._one(injector, fault, begun))

    async def _one(self, injector: Injector, fault: Fault, begun: float) -> None:
        self._incidents.append(await injector.inject(fault, begun, self._say))

    async def _stopped_before(self, moment: float) -> bool:
        """Wait for a moment of the monotonic clock; return whether `stop` was set before."""
        try:
            await asyncio.wait_for(self.stop.wait(), max(0.0, moment - time.monotonic()))
        except TimeoutError:
            return False
        return True

    def _say(self, incident: Incident) -> None:
        recovery = incident.recovery_seconds
        how = "payments do not flow again" if recovery is None else f"payments flow again after {recovery:.1f} s"
        fault = incident.fault
        lasting = f"for {fault.seconds:.1f} s" if fault.seconds else ""
        number = len(self._incidents) + 1
        self._tell(f"{number:>4}  {incident.began:6.1f} s  {fault.kind:<15} {incident.target:<16} {lasting:<10} {how}")

    async def _judge(self, work: asyncio.Task[None], fleet: Fleet, watch: Watch, servers: str, before: int) -> Evidence:
        """When the faults are over: end the producers in order, let the stream catch up, verify."""
        await work
        for one in fleet.producers:
            one.wanted = False
        await asyncio.gather(*(fleet.stop(one) for one in fleet.producers))
        if self._tamper is not None:
            await self._tamper(servers, self._run_name)
        self._tell("producers have ended; verifying")
        verdict, code = await verified(servers, self._run_name, self._folder, self._course.wait_seconds)
        exported = None
        if self._setting.make is not None:
            wanted = verdict["payments"]["aggregates"]
            await watch.until(lambda: watch.sight.exported == wanted, EXPORT_SECONDS)
            exported = watch.sight.exported
        return Evidence(verdict, code, await _records_on_topic(servers) - before, exported)

    def _report(self, evidence: Evidence, fleet: Fleet, seconds: float) -> dict[str, Any]:
        course, verdict, wrong = self._course, evidence.verdict, objections(evidence)
        done = sorted(self._incidents, key=lambda incident: incident.began)
        return {
            "scenario": course.scenario,
            "run": self._run_name,
            "broker": self._setting.name,
            "seed": course.seed,
            "seconds": round(seconds, 1),
            "interrupted": self.stop.is_set(),
            "faults": {"total": len(done), "by_kind": dict(sorted(Counter(one.fault.kind for one in done).items()))},
            "left_out": dict(self._setting.left_out) | dict.fromkeys(sorted(course.without), "left out by --without"),
            "schedule": [_incident_document(one) for one in done],
            "recovery_seconds": _spread(one.recovery_seconds for one in done),
            "ended": [vars(one) for one in fleet.ended],
            "payments": verdict["payments"],
            "amount_vnd": verdict["amount_vnd"],
            "reversed_vnd": verdict["reversed_vnd"],
            "records": {"topic": evidence.on_topic, **records_of(evidence)},
            "injected": verdict["faults"],
            "exported": evidence.exported,
            "mismatches": verdict["mismatches"],
            "objections": wrong,
            "exact": not wrong,
        }


def _incident_document(incident: Incident) -> dict[str, Any]:
    fault = incident.fault
    return {
        "planned": fault.at,
        "began": incident.began,
        "kind": fault.kind,
        "target": incident.target,
        "seconds": fault.seconds,
        "recovery_seconds": incident.recovery_seconds,
    }


def _spread(recoveries: Iterable[float | None]) -> dict[str, float | int | None]:
    """Return median and maximum of the recoveries, and after how many faults there was none."""
    every = list(recoveries)
    known = sorted(one for one in every if one is not None)
    return {
        "median": known[len(known) // 2] if known else None,
        "maximum": known[-1] if known else None,
        "never": len(every) - len(known),
    }


async def _records_on_topic(servers: str) -> int:
    return sum((await ends_of(servers, PAYMENTS)).values())


async def _first_to_end(work: asyncio.Task[Evidence], beside: Iterable[Any]) -> Evidence:
    """Return what work returns; what runs beside it ends with it, and if it fails first, ends it."""
    tasks = [asyncio.ensure_future(one) for one in beside]
    try:
        done, _ = await asyncio.wait({work, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {work}:
            task.result()
        return await work
    finally:
        for task in (work, *tasks):
            task.cancel()
        await asyncio.gather(work, *tasks, return_exceptions=True)
