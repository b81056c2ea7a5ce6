"""`quetma replay`: records that others have made, sent again, at their own pace, a multiple of it, or a rate.

In: arguments; a capture, a file of anyone's, a topic. Out: records at a target, and the report of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from producers.announcements import wall_clock
from producers.load.sources.opened import Opened, open_source
from producers.load.sources.ordering import DEFAULT_BUFFER
from producers.load.targets.stamped import StampedTarget
from producers.load.transforms.replaying import Changes, replayed
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
from services.options import BrokerOption, ForOption, JsonOption, QuietOption, settings_for
from services.output import seconds_of
from services.processes import set_up_logging
from services.replay_options import (
    CommuneOption,
    FromOption,
    FromTimeOption,
    KeyColumnOption,
    KeyFilterOption,
    LoopOption,
    MappingOption,
    Pace,
    PartitionsOption,
    ReplayedArgument,
    ReplayRateOption,
    ReplaySpeedOption,
    RewriteOption,
    SectorOption,
    SortBufferOption,
    TimeColumnOption,
    TimeFormatOption,
    TimestampsOption,
    TimeUnitOption,
    TimeZoneOption,
    TopicFilterOption,
    ToTimeOption,
    ValueColumnOption,
    VerbatimOption,
    changes_of,
    filters_of,
    mapping_of,
    pace_of,
)

if TYPE_CHECKING:
    from producers.load.clock import Clock
    from producers.load.parts import Arrivals, Target


def replay(
    source: ReplayedArgument,
    *,
    from_: FromOption = None,
    time_column: TimeColumnOption = None,
    time_unit: TimeUnitOption = None,
    time_format: TimeFormatOption = None,
    time_zone: TimeZoneOption = None,
    key_column: KeyColumnOption = None,
    value_column: ValueColumnOption = None,
    mapping: MappingOption = None,
    speed: ReplaySpeedOption = None,
    rate: ReplayRateOption = None,
    timestamps: TimestampsOption = None,
    rewrite: RewriteOption = None,
    partitions: PartitionsOption = "keep",
    loop: LoopOption = "1",
    verbatim: VerbatimOption = False,
    from_time: FromTimeOption = None,
    to_time: ToTimeOption = None,
    key: KeyFilterOption = None,
    commune: CommuneOption = None,
    sector: SectorOption = None,
    topic: TopicFilterOption = None,
    sort_buffer: SortBufferOption = DEFAULT_BUFFER,
    broker: BrokerOption = None,
    to_topic: ToTopicOption = None,
    to: ToOption = None,
    yes: YesOption = False,
    max_connections: MaxConnectionsOption = CONNECTIONS,
    timeout: TimeoutOption = TIMEOUT,
    connect_timeout: ConnectTimeoutOption = CONNECT_TIMEOUT,
    retries: RetriesOption = 0,
    hmac_secret_env: SecretOption = None,
    for_: ForOption = None,
    count: CountOption = None,
    fail_if: FailIfOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Send what was recorded, or anyone's file or topic, again: keys, headers, timestamps and pace as they were."""
    # Loaded here: the reference and the help need not wait for what draws reports.
    from producers.load.dispatch import Limits  # noqa: PLC0415
    from producers.load.thresholds import parse_threshold  # noqa: PLC0415
    from schemas.load_report import LoadDescription  # noqa: PLC0415
    from services.load_session import Session, Telling, carry_out, target_of  # noqa: PLC0415

    set_up_logging(quiet=quiet)
    pace = pace_of(speed, rate)
    telling = Telling([parse_threshold(text) for text in fail_if or ()], report, json=json, quiet=quiet)
    seconds = seconds_of(for_, "--for")
    filters = filters_of(
        from_time=from_time,
        to_time=to_time,
        keys=key or (),
        communes=commune or (),
        sectors=sector or (),
        topics=topic or (),
    )
    columns = mapping_of(
        mapping,
        time_column=time_column,
        time_unit=time_unit,
        time_format=time_format,
        time_zone=time_zone,
        key_column=key_column,
        value_column=value_column,
    )
    if from_ is not None:
        asyncio.run(check_reachable(from_))
    opened = open_source(source, servers=from_, mapping=columns)
    changes = changes_of(
        pace=pace,
        timed=opened.timed,
        timestamps=timestamps,
        rewrite=rewrite or (),
        partitions=partitions,
        loop=loop,
        verbatim=verbatim,
        sort_buffer=sort_buffer,
        filters=filters,
    )
    settings = settings_for(broker, need_broker=to is None)
    webhook = webhook_of(
        to,
        max_connections=max_connections,
        timeout=timeout,
        connect_timeout=connect_timeout,
        retries=retries,
        hmac_secret_env=hmac_secret_env,
    )
    place, target = target_of(to, to_topic, settings, yes=yes, webhook=webhook)
    options: dict[str, str | int | float | bool | None]
    options = {"timestamps": changes.timestamps, "partitions": changes.partitions, "loop": loop, "verbatim": verbatim}
    session = Session(
        replayed(opened, changes, wall_clock),
        lambda clock: _arrivals(pace, clock),
        target,
        Limits(seconds or float("inf"), count or float("inf")),
        LoadDescription(
            source=opened.description(), target=place, pace=pace.kind, asked=pace.in_words(), options=options
        ),
        stamped=lambda target: stamped(target, changes, opened),
    )
    carry_out(session, settings, telling)


def stamped(target: Target, changes: Changes, opened: Opened) -> Target:
    """Return what the target looks like to those who send: one that stamps records where they are to be of now."""
    if changes.timestamps != "now":
        return target
    return StampedTarget(target, changes.fields, wall_clock, opened.places)


def _arrivals(pace: Pace, clock: Clock) -> Arrivals:
    from producers.load.arrivals import MaxArrivals, RateArrivals, SpeedArrivals  # noqa: PLC0415
    from producers.load.profiles import constant  # noqa: PLC0415

    if pace.rate is not None:
        return RateArrivals(constant(pace.rate))
    return MaxArrivals(clock) if pace.speed is None else SpeedArrivals(pace.speed)
