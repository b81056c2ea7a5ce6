"""`quetma record`: topics into a file, byte for byte.

In: arguments, a broker. Out: a capture, and a summary of what is in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from schemas.errors import BadInputError
from services.broker import check_reachable
from services.capture.files import check_free, finish_capture
from services.capture.recording import Order, Summary, Tell
from services.capture.span import check_span, parse_place
from services.options import BrokerOption, JsonOption, QuietOption, settings_for
from services.output import print_json, say
from services.processes import set_up_logging, until_stopped


def record(
    topics: Annotated[list[str] | None, typer.Argument(metavar="TOPIC...", help="Of anyone's.")] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="FILE.parquet or FILE.jsonl.zst; it must not exist.")
    ] = None,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="beginning; end or live; a time as 2026-02-17T08:00:00+07:00 or 1771290000000ms, of the first "
            "record's timestamp; an offset as 1200, or topic:0=1200,topic:1=7 (other partitions: their beginning).",
        ),
    ] = "beginning",
    until: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="end (as it is when recording begins; usual unless live); never (Ctrl-C; usual if live); 30s, 5m, 1h; "
            "a time, of the first record that is left out; an offset, or topic:0=1200 (others: their end).",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Records at most.")] = None,
    finish: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a capture of what a crash left of one; no TOPIC then.")
    ] = None,
    broker: BrokerOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Record topics into a file: keys, values, headers, offsets and timestamps, byte for byte. Ctrl-C finishes it."""
    set_up_logging(quiet=quiet)
    if finish is not None:
        _finish(finish, given=bool(topics or out), json=json, quiet=quiet)
        return
    if not topics or out is None:
        raise BadInputError("arguments", "no topic" if out else "no --out", "quetma record TOPIC --out FILE.parquet")
    topics = list(dict.fromkeys(topics))
    begin = parse_place(from_, "--from", topics)
    ends = parse_place(until or ("never" if begin.kind == "end" else "end"), "--until", topics)
    check_span(begin, ends)
    check_free(out)
    servers = settings_for(broker).kafka.bootstrap_servers
    assert servers is not None
    order = Order(servers, topics, out, begin, ends, count)
    with _progress(topics, quiet=quiet or json) as tell:
        summary = uvloop.run(_carried_out(order, tell))
    if summary is None:
        raise KeyboardInterrupt  # before there was anything to finish
    if json:
        print_json(summary)
    elif not quiet:
        say(_words(summary))


def _finish(path: Path, *, given: bool, json: bool, quiet: bool) -> None:
    if given:
        raise BadInputError("arguments", "--finish with a topic or --out", "it takes the file alone")
    records = finish_capture(path)
    if json:
        print_json({"records": records})
    elif not quiet:
        say(f"{path}: {records:,} records")


async def _carried_out(order: Order, tell: Tell) -> Summary | None:
    await check_reachable(order.servers)
    summary: Summary | None = None

    async def work(stop: asyncio.Event) -> None:
        nonlocal summary
        summary = await order.carried_out(stop, tell)

    await until_stopped(work)
    return summary


def _words(summary: Summary) -> str:
    why = {"stopped": "interrupted", "count": "count reached", "time": "time is up", "end": "up to the end"}
    size = f"{summary['bytes'] / 1e6:,.1f} MB in a file of {summary['file_bytes'] / 1e6:,.1f} MB"
    speed = f"{summary['seconds']:.1f} s, {summary['records_per_second']:,.0f} records/s"
    return f"{summary['out']}: {summary['records']:,} records, {size}, {speed}; {why[summary['ended']]}"


@contextmanager
def _progress(topics: list[str], *, quiet: bool) -> Iterator[Tell]:
    if quiet:
        yield lambda *_: None
        return
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} records  {task.fields[speed]:,.0f}/s"))
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, speed=0.0)

        def tell(records: int, expected: int | None) -> None:
            if not records:
                say(f"recording {', '.join(topics)}; Ctrl-C ends it")
            speed = records / max(time.monotonic() - begun, 1e-9)
            bar.update(task, completed=records, total=expected, speed=speed)

        yield tell
