"""A load as commands run it: the target opened, outcomes recorded and served as metrics, the report told.

In: what to send, where, and how fast. Out: a summary or one JSON object on stdout, an HTML page, an exit code.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import uvloop
from prometheus_client import CollectorRegistry

from producers.load.clock import Clock, RealClock
from producers.load.dispatch import Limits
from producers.load.outcomes import Recorder
from producers.load.parts import Arrivals, Target
from producers.load.sources.threads import from_thread
from producers.load.targets.addresses import check_target
from producers.load.targets.kafka import KafkaTarget, KafkaTargetSettings
from producers.load.targets.webhook import WebhookSettings, WebhookTarget
from producers.load.thresholds import Threshold, broken, judged
from schemas.errors import BadInputError, CheckFailedError
from schemas.load_report import LoadDescription, LoadReport
from schemas.metrics import Metrics
from schemas.settings import Settings
from services.load_report import html_page, terminal_summary
from services.load_run import INTERRUPTED, run_load
from services.output import print_json, say
from services.processes import serve_metrics, unless_stopped, until_stopped
from services.replay_options import FOREVER
from services.version import VERSION

OpenTarget = Callable[[Recorder, Clock], AbstractAsyncContextManager[Target]]


@dataclass(frozen=True)
class Session:
    """What to send, where, how fast, and for how long."""

    frames: Iterator[pl.DataFrame] | AsyncGenerator[pl.DataFrame, None]
    """Iterators block, and are read in a thread."""
    arrivals: Callable[[Clock], Arrivals]
    target: OpenTarget
    limits: Limits
    description: LoadDescription
    stamped: Callable[[Target], Target] = lambda target: target
    """What the target looks like to those who send."""


@dataclass(frozen=True)
class Telling:
    """How the report is told."""

    thresholds: Sequence[Threshold] = ()
    page: Path | None = None
    json: bool = False
    quiet: bool = False


def carry_out(session: Session, settings: Settings, telling: Telling) -> None:
    """Send, and tell what came of it; of what was sent before an error, too.

    Raises:
        CheckFailedError: if a threshold is broken.
        Exception: what the source or the target raises.
    """
    if telling.page is not None and not telling.page.parent.is_dir():
        raise BadInputError("arguments", f"--report {telling.page}: no such folder", "create it, or give another")
    recorder, error = uvloop.run(_sent(session, settings, quiet=telling.quiet))
    if error is not None and not recorder.sent_count:
        raise error
    report = judged(recorder.report(session.description), telling.thresholds)
    _tell(report, telling)
    if error is not None:
        raise error
    if missed := broken(report, telling.thresholds):
        raise CheckFailedError("load", "; ".join(missed), "see the report")


async def _sent(session: Session, settings: Settings, *, quiet: bool) -> tuple[Recorder, Exception | None]:
    metrics = Metrics("load", CollectorRegistry(), VERSION)
    port = serve_metrics(metrics.registry, settings.serve.host, settings.load.metrics_port)
    if not quiet:
        say(f"about to send {intent(session)}; Ctrl-C ends it with the report of what was sent")
        say(f"metrics on http://{settings.serve.host}:{port}/metrics")
    with RealClock() as clock:
        arrivals = session.arrivals(clock)
        recorder = Recorder(arrivals.asked, metrics)

        async def work(stop: asyncio.Event) -> None:
            async with AsyncExitStack() as stack:
                opening = stack.enter_async_context(session.target(recorder, clock))
                target = await unless_stopped(opening, stop)
                if target is None:
                    recorder.end(0.0, INTERRUPTED)
                    return
                source = await stack.enter_async_context(aclosing(_source(session)))
                await run_load(source, arrivals, session.stamped(target), recorder, clock, stop, session.limits)

        try:
            await until_stopped(work)
        except Exception as error:  # noqa: BLE001  # whatever it was: what was sent is told before it is raised
            return recorder, error
    return recorder, None


def intent(session: Session) -> str:
    """Return what is about to be sent, how often, where, how fast, and how much at most, in words."""
    about, limits = session.description, session.limits
    loop = about.options.get("loop")
    times = "" if loop in {None, "1"} else ", again and again" if loop == FOREVER else f", {loop} times"
    at_most = [f"{limits.records:,} records"] if math.isfinite(limits.records) else []
    at_most += [f"{limits.seconds:,.10g} s"] if math.isfinite(limits.seconds) else []
    end = f", {' or '.join(at_most)} at most" if at_most else ""
    return f"{about.source}{times} to {about.target}, {about.asked}{end}"


def _source(session: Session) -> AsyncGenerator[pl.DataFrame, None]:
    frames = session.frames
    return frames if isinstance(frames, AsyncGenerator) else from_thread(frames)


def target_of(
    url: str | None, topic: str | None, settings: Settings, *, yes: bool, webhook: WebhookSettings
) -> tuple[str, OpenTarget]:
    """Return where records go, in words, and what opens the way there.

    Args:
        url: takes records as webhooks; the broker of the settings takes them if None.
        topic: takes all of them there; each goes to the topic of its own name if None.
        settings: name the broker.
        yes: whether a URL that is not on this machine may be loaded.
        webhook: how requests are made.

    Raises:
        BadInputError: if the URL is none that may be loaded, or comes with a topic.
        UnreachableError: if its host is unknown.
    """
    if url is not None and topic is not None:
        raise BadInputError("arguments", f"--to {url} and --to-topic {topic}", "give one of them")
    if url is not None:
        how = replace(webhook, yes=yes)
        return check_target(url, yes=yes).in_words(), lambda recorder, clock: WebhookTarget(url, recorder, clock, how)
    servers = settings.kafka.bootstrap_servers
    assert servers is not None
    kafka = KafkaTargetSettings(servers, topic)
    where = f"{servers}, topic {topic}" if topic else f"{servers}, topics as they were"
    return where, lambda recorder, clock: KafkaTarget(kafka, recorder, clock)


def _tell(report: LoadReport, telling: Telling) -> None:
    if telling.page is not None:
        telling.page.write_text(html_page(report), encoding="utf-8")
        if not telling.quiet:
            say(f"report: {telling.page}")
    if telling.json:
        print_json(report.model_dump(mode="json"))
    elif not telling.quiet:
        sys.stdout.write(terminal_summary(report, colours=sys.stdout.isatty()))
