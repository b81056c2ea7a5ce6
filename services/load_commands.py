"""`quetma load`: an open load at an intended rate, of a scenario's payments or of records that others have made.

In: arguments. Out: records at a target, and the report of it.
"""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from producers.announcements import wall_clock
from producers.load.profiles import BUILT_IN
from producers.plan import Plan
from producers.scenario_files import load_scenario, scenario_names
from producers.simulation.world import build_world
from schemas.errors import BadInputError
from services.broker import check_reachable
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
from services.replay_options import (
    FOREVER,
    FromOption,
    KeyColumnOption,
    MappingOption,
    ValueColumnOption,
    VerbatimOption,
    mapping_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    import polars as pl

    from producers.load.parts import Target
    from producers.load.sources.opened import Opened
    from schemas.settings import Settings


def load(
    source: Annotated[
        str, typer.Argument(help="Scenario, or what `quetma replay` takes: a capture, a file; with --from, a topic.")
    ] = "an-giang",
    *,
    from_: FromOption = None,
    mapping: MappingOption = None,
    key_column: KeyColumnOption = None,
    value_column: ValueColumnOption = None,
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
        str | None, typer.Option(metavar="N|forever", help="How many times what is no scenario is sent; forever.")
    ] = None,
    verbatim: VerbatimOption = False,
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
    from producers.load.sources.opened import open_source  # noqa: PLC0415
    from producers.load.thresholds import parse_threshold  # noqa: PLC0415
    from schemas.load_report import LoadDescription  # noqa: PLC0415
    from services.load_session import Session, Telling, carry_out, target_of  # noqa: PLC0415

    telling = Telling([parse_threshold(text) for text in fail_if or ()], report, json=json, quiet=quiet)
    webhook = webhook_of(
        to,
        max_connections=max_connections,
        timeout=timeout,
        connect_timeout=connect_timeout,
        retries=retries,
        hmac_secret_env=hmac_secret_env,
    )
    place, target = target_of(to, to_topic, settings, yes=yes, webhook=webhook)
    columns = mapping_of(
        mapping,
        time_column=None,
        time_unit=None,
        time_format=None,
        time_zone=None,
        key_column=key_column,
        value_column=value_column,
    )
    frames: AsyncGenerator[pl.DataFrame, None] | Iterator[pl.DataFrame]
    stamped: Callable[[Target], Target]
    if is_scenario(source, from_):
        of_a_file = {"--mapping": mapping, "--key-column": key_column, "--value-column": value_column, "--loop": loop}
        check_absent(f"the scenario {source}", {**of_a_file, "--verbatim": verbatim or None})
        frames, stamped = scenario_of(source, run, seed, settings, announced=to is None and to_topic is None), _as_it_is
        about = f"payments of scenario {source}"
    else:
        check_absent(f"{source}, which is no scenario", {"--run": run})
        if from_ is None and not Path(source).suffix:
            known = ", ".join(scenario_names())
            fix = f"give one of {known}, a capture or a file, or a topic with --from HOST:PORT"
            raise BadInputError("arguments", f"no scenario {source!r}", fix)
        if from_ is not None:
            asyncio.run(check_reachable(from_))
        opened, loop = open_source(source, servers=from_, mapping=columns), loop or FOREVER
        frames, stamped = _recorded(opened, loop, asked, verbatim=verbatim)
        about = opened.description()
    described = LoadDescription(
        source=about,
        target=place,
        pace="rate",
        asked=asked.in_words(),
        options={"profile": profile, "arrivals": arrivals, "seed": seed, "loop": loop, "verbatim": verbatim},
    )
    limits = Limits(min(seconds or math.inf, asked.profile.seconds), count or math.inf)
    session = Session(frames, lambda _: asked.arrivals(), target, limits, described, stamped=stamped)
    carry_out(session, settings, telling)


def check_absent(what: str, options: Mapping[str, object]) -> None:
    """Refuse options that would say nothing.

    Raises:
        BadInputError: names the first that was given.
    """
    for name, value in options.items():
        if value is not None:
            raise BadInputError("arguments", f"{name} {value} for {what}", "leave it out")


def is_scenario(source: str, servers: str | None) -> bool:
    """Return whether a source is a scenario; ``servers`` are those that it is a topic of."""
    return servers is None and (source in scenario_names() or source.endswith(".toml"))


def scenario_of(
    source: str, run: str | None, seed: int | None, settings: Settings, *, announced: bool
) -> AsyncGenerator[pl.DataFrame, None]:
    """Return the payments of a scenario.

    Args:
        source: its name or file.
        run: name of the run; one of its own for each load if None.
        seed: of the scenario; its own if None.
        settings: of the broker.
        announced: whether the target is where stream workers read.
    """
    scenario = load_scenario(source)
    world = build_world(scenario, scenario.seed if seed is None else seed)
    plan = Plan(world, run or f"load-{time.time_ns()}")
    return announced_scenario(plan, settings) if announced else bare_scenario(plan, settings)


def _recorded(
    opened: Opened, loop: str, asked: AskedRate, *, verbatim: bool
) -> tuple[Iterator[pl.DataFrame], Callable[[Target], Target]]:
    """Return the records of what `quetma replay` takes, and what stamps them if they have no times."""
    from producers.load.sources.ordering import DEFAULT_BUFFER  # noqa: PLC0415
    from producers.load.transforms.filters import Filters  # noqa: PLC0415
    from producers.load.transforms.replaying import replayed  # noqa: PLC0415
    from services.replay_commands import stamped  # noqa: PLC0415
    from services.replay_options import Pace, changes_of  # noqa: PLC0415

    changes = changes_of(
        pace=Pace(rate=asked.highest),
        timed=opened.timed,
        timestamps=None,
        rewrite=(),
        partitions="keep",
        loop=loop,
        verbatim=verbatim,
        sort_buffer=DEFAULT_BUFFER,
        filters=Filters(),
    )
    return replayed(opened, changes, wall_clock), lambda target: stamped(target, changes, opened)


def _as_it_is(target: Target) -> Target:
    return target
