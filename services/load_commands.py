"""`quetma load`: an open load at an intended rate, of a scenario's payments or of records that others have made.

In: arguments. Out: records at a target, and the report of it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from producers.announcements import wall_clock
from producers.load.profiles import BUILT_IN
from producers.plan import Plan
from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.world import build_world
from services.load_options import (
    CONNECT_TIMEOUT,
    CONNECTIONS,
    TIMEOUT,
    ConnectTimeoutOption,
    CountOption,
    FailIfOption,
    MaxConnectionsOption,
    ReportOption,
    RetriesOption,
    SecretOption,
    TimeoutOption,
    ToOption,
    ToTopicOption,
    YesOption,
    webhook_of,
)
from services.load_profile_options import AskedRate, asked_rate
from services.load_scenario import announced_scenario, bare_scenario
from services.options import BrokerOption, ForOption, JsonOption, QuietOption, RunOption, settings_for
from services.output import seconds_of
from services.processes import set_up_logging

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    import polars as pl

    from producers.load.parts import Target
    from schemas.settings import Settings


def load(
    source: Annotated[
        str, typer.Argument(help="Scenario, or what `quetma replay` takes: a capture, a file.")
    ] = "an-giang",
    *,
    profile: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help=f"One of {', '.join(BUILT_IN)}, or phases in a file.")
    ] = "steady",
    rate: Annotated[
        float | None, typer.Option(metavar="N", help="Highest rate of a built-in profile, a second; 1000 if left out.")
    ] = None,
    for_: ForOption = None,
    arrivals: Annotated[str, typer.Option(metavar="even|poisson", help="How records are spaced.")] = "even",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of Poisson arrivals (0) and the scenario (its own if left out).")
    ] = None,
    loop: Annotated[
        str, typer.Option(metavar="N|forever", help="How many times a capture or file is gone through.")
    ] = "forever",
    run: RunOption = None,
    broker: BrokerOption = None,
    to_topic: ToTopicOption = None,
    to: ToOption = None,
    yes: YesOption = False,
    max_connections: MaxConnectionsOption = CONNECTIONS,
    timeout: TimeoutOption = TIMEOUT,
    connect_timeout: ConnectTimeoutOption = CONNECT_TIMEOUT,
    retries: RetriesOption = 0,
    hmac_secret_env: SecretOption = None,
    count: CountOption = None,
    fail_if: FailIfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Send payments at the rates of a profile, whether or not those before have been answered, and report."""
    set_up_logging(quiet=quiet)
    seconds = seconds_of(for_, "--for")
    asked = asked_rate(profile, rate=rate, seconds=seconds, spacing=arrivals, seed=seed or 0)
    settings = settings_for(broker, need_broker=to is None)
    # Loaded here: the reference and the help need not wait for what draws reports.
    from producers.load.dispatch import Limits  # noqa: PLC0415
    from producers.load.thresholds import parse_threshold  # noqa: PLC0415
    from schemas.load_report import LoadDescription  # noqa: PLC0415
    from services.load_session import Session, Telling, carry_out, target_of  # noqa: PLC0415

    telling = Telling([parse_threshold(text) for text in fail_if or ()], report, json=json, quiet=quiet)
    webhook = webhook_of(
        max_connections=max_connections,
        timeout=timeout,
        connect_timeout=connect_timeout,
        retries=retries,
        hmac_secret_env=hmac_secret_env,
    )
    place, target = target_of(to, to_topic, settings, yes=yes, webhook=webhook)
    payments = scenario_of(source, run, seed, settings, announced=to is None and to_topic is None)
    described = LoadDescription(
        source=source if payments is None else f"payments of scenario {source}",
        target=place,
        pace="rate",
        asked=asked.in_words(),
        options={"profile": profile, "arrivals": arrivals, "seed": seed, "loop": loop},
    )
    frames, stamped = (payments, _as_it_is) if payments is not None else _recorded(source, loop, asked)
    limits = Limits(min(seconds or math.inf, asked.profile.seconds), count or math.inf)
    session = Session(frames, lambda _: asked.arrivals(), target, limits, described, stamped=stamped)
    carry_out(session, settings, telling)


def scenario_of(
    source: str, run: str | None, seed: int | None, settings: Settings, *, announced: bool
) -> AsyncGenerator[pl.DataFrame, None] | None:
    """Return the payments of a scenario, None if the source is none.

    Args:
        source: as it was given.
        run: name of the run; one of its own for each load if None.
        seed: of the scenario; its own if None.
        settings: of the broker.
        announced: whether the target is where stream workers read.
    """
    if source not in scenario_names() and not source.endswith(".toml"):
        return None
    scenario = load_scenario(source)
    world = build_world(scenario, scenario.seed if seed is None else seed)
    plan = Plan(world, run or f"load-{time.time_ns()}")
    return announced_scenario(plan, settings) if announced else bare_scenario(plan, settings)


def _recorded(source: str, loop: str, asked: AskedRate) -> tuple[Iterator[pl.DataFrame], Callable[[Target], Target]]:
    """Return the records of a capture or a file, and what stamps them if they have no times."""
    from producers.load.sources.opened import open_source  # noqa: PLC0415
    from producers.load.sources.ordering import DEFAULT_BUFFER  # noqa: PLC0415
    from producers.load.transforms.filters import Filters  # noqa: PLC0415
    from producers.load.transforms.replaying import replayed  # noqa: PLC0415
    from services.replay_commands import stamped  # noqa: PLC0415
    from services.replay_options import Pace, changes_of  # noqa: PLC0415

    opened = open_source(source)
    changes = changes_of(
        pace=Pace(rate=asked.profile.records / asked.profile.seconds),
        timed=opened.timed,
        timestamps=None,
        rewrite=(),
        partitions="keep",
        loop=loop,
        verbatim=False,
        sort_buffer=DEFAULT_BUFFER,
        filters=Filters(),
    )
    return replayed(opened, changes, wall_clock), lambda target: stamped(target, changes, opened)


def _as_it_is(target: Target) -> Target:
    return target
