"""`quetma produce`: a scenario into Kafka.

In: arguments. Out: payments on Kafka, and a summary.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer
import uvloop
from prometheus_client import CollectorRegistry

from producers.pacing import RatePace, make_pace
from producers.plan import Plan, default_run
from producers.scenario_files import load_scenario
from producers.session import Produced, Production, first_midnight_at
from producers.simulation.calendar import HOUR_MS
from producers.simulation.world import build_world
from schemas.errors import BadInputError
from schemas.metrics import Metrics
from schemas.settings import Settings
from services.broker import check_reachable
from services.options import (
    BrokerOption,
    DaysOption,
    ForOption,
    JsonOption,
    QuietOption,
    RateOption,
    RunOption,
    ScenarioArgument,
    SeedOption,
    SpeedOption,
    settings_for,
)
from services.output import print_json, say, seconds_of
from services.processes import serve_metrics, set_up_logging, until_stopped
from services.topic_admin import payment_partitions
from services.version import VERSION

DEFAULT_SPEED = 1800.0
"""Simulated seconds per second: a day in 48 s."""


def produce(
    scenario: ScenarioArgument = "an-giang",
    *,
    broker: BrokerOption = None,
    speed: SpeedOption = None,
    rate: RateOption = None,
    days: DaysOption = None,
    for_: ForOption = None,
    seed: SeedOption = None,
    run: RunOption = None,
    start_hour: Annotated[
        int, typer.Option(min=0, max=23, help="Hour of the first day with which the pace begins.")
    ] = 0,
    shard: Annotated[str, typer.Option(metavar="I/N", help="Only every N-th commune from the I-th.")] = "1/1",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate a scenario into Kafka, paced, until its days, its time or a signal end it."""
    set_up_logging(quiet=quiet)
    world_scenario = load_scenario(scenario)
    settings = settings_for(broker)
    world = build_world(world_scenario, world_scenario.seed if seed is None else seed, parse_shard(shard))
    pace = make_pace(
        speed=speed, rate=rate, default_speed=DEFAULT_SPEED, start_at=first_midnight_at(world) + start_hour * HOUR_MS
    )
    index, count = parse_shard(shard)
    plan = Plan(world, run or default_run(world), days, seconds_of(for_, "--for"), f"{index}/{count}")
    produced = uvloop.run(_produce(plan, pace, settings, quiet=quiet))
    if json:
        print_json(document_of(produced))
    elif not quiet:
        sent = produced.acked - produced.behind
        say(f"{produced.run}: {sent:,} payments acknowledged in {produced.seconds:.1f} s")


async def _produce(plan: Plan, pace: Any, settings: Settings, *, quiet: bool) -> Produced:
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    await check_reachable(servers, settings.kafka.connect_timeout_seconds)
    metrics = Metrics("producer", CollectorRegistry(), VERSION)
    metrics.gauge("quetma_target_events_per_second").set(pace.events_per_second if isinstance(pace, RatePace) else 0)
    partitions = await payment_partitions(settings.kafka)
    port = serve_metrics(metrics.registry, settings.serve.host, settings.producer.metrics_port)
    if not quiet:
        say(f"producing {plan.run} to {servers}; metrics on http://{settings.serve.host}:{port}/metrics")
    production = Production(
        plan, pace, settings, metrics, version=VERSION, partitions=partitions, tell=None if quiet else say
    )
    result: list[Produced] = []

    async def work(stop: asyncio.Event) -> None:
        production.stop = stop
        result.append(await production.run())

    await until_stopped(work)
    return result[0]


def document_of(produced: Produced) -> dict[str, Any]:
    """Return a summary as `quetma produce --json` prints it."""
    return {
        "run": produced.run,
        "scenario": produced.scenario,
        "seed": produced.seed,
        "produced": produced.produced,
        "acked": produced.acked,
        "behind": produced.behind,
        "seconds": round(produced.seconds, 3),
        "events_per_second": round((produced.acked - produced.behind) / produced.seconds, 1),
        "held_back_seconds": round(produced.held_back_seconds, 3),
        "ended_at": int(time.time() * 1000),
    }


def parse_shard(text: str) -> tuple[int, int]:
    """Parse ``I/N`` with 1 ≤ I ≤ N.

    Raises:
        BadInputError: if it is not that.
    """
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise BadInputError("arguments", f"--shard {text!r}", "give I/N with 1 ≤ I ≤ N, such as 1/4")
    return int(index), int(count)
