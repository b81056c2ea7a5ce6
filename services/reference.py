"""Reference pages, written from the tables: topics, metrics, settings, commands.

In: `schemas.topics`, `schemas.contracts`, `schemas.metrics`, `schemas.settings`, `schemas.scenario.actions`, the
command line. Out: Markdown; a test holds docs/reference.md equal. Renew it with
``python -m services.reference > docs/reference.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer
from pydantic import BaseModel

from schemas.contracts import values_of
from schemas.events import DeadLetterReason
from schemas.metrics import METRICS
from schemas.scenario.actions import ACTIONS
from schemas.settings import Settings
from schemas.topics import TOPICS
from services.cli import build_app
from services.toml_text import inline

HEAD = """# Reference

Written from the tables of the code by `python -m services.reference`; a test holds it to them.
"""


def render() -> str:
    """Return the page."""
    parts = [HEAD, *_commands(), *_topics(), *_metrics(), *_settings(), *_orders()]
    return "\n".join(parts)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    header = list(columns)
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"
    yield ""


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    root = typer.main.get_command(build_app())
    yield from _table(["command", "what it does"], _command_rows("quetma", root))
    yield "Exit codes: 0 done · 1 a check failed · 2 bad input or usage · 3 the broker or another service cannot be"
    yield "reached · 130 interrupted.\n"


def _command_rows(name: str, command: object) -> Iterator[tuple[str, str]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield f"`{name}`", (getattr(command, "help", "") or "").splitlines()[0]
        return
    for sub, child in sorted(subcommands.items()):
        yield from _command_rows(f"{name} {sub}", child)


def _topics() -> Iterator[str]:
    yield "## Topics\n"
    rows = (
        (
            f"`{topic.name}`",
            topic.key,
            str(topic.partitions or "as set"),
            topic.cleanup,
            ", ".join(schema.__name__ for schema in values_of(topic)) or "raw",
            ", ".join(topic.senders),
            ", ".join(topic.receivers) or "-",
            topic.meaning,
        )
        for topic in TOPICS
    )
    yield from _table(["topic", "key", "partitions", "clean-up", "schema", "sent by", "read by", "meaning"], rows)
    yield "The same for machines, with every field and header: [asyncapi.json](asyncapi.json) and [schemas](schemas),"
    yield "as `quetma schema` prints them.\n"
    reasons = ", ".join(f"`{reason}`" for reason in DeadLetterReason)
    yield f"Dead letters carry their reason ({reasons}) and its detail in the headers `reason` and `detail`, and the"
    yield "record's own key in the header `key`; their value is the record's, byte for byte.\n"


def _metrics() -> Iterator[str]:
    yield "## Metrics\n"
    rows = (
        (f"`{row.sample}`", row.kind, ", ".join(row.labels) or "-", ", ".join(row.processes), row.meaning)
        for row in METRICS
    )
    yield from _table(["metric", "type", "labels", "process", "meaning"], rows)


def _settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "Flag over environment over default.\n"
    rows = (
        (
            f"`QUETMA_{group.upper()}__{name.upper()}`",
            "-" if field.default is None else str(field.default),
            field.description or "",
        )
        for group, info in Settings.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
        for name, field in info.annotation.model_fields.items()
    )
    yield from _table(["variable", "default", "what"], rows)


def _orders() -> Iterator[str]:
    yield "## Interventions that can be ordered\n"
    yield "Keys of `quetma interventions send RUN --kind KIND --set KEY=VALUE`, and what holds where nothing is said."
    yield "Ranges and units are those of [parameters.md](parameters.md#intervention). `place` is a list of communes and"
    yield "markets, by `--place`; without it the whole province is meant.\n"
    rows = (
        (f"`{kind}`", f"`{name}`", f"`{inline(field.default)}`", " ".join((field.description or "").split()))
        for kind, action in ACTIONS.items()
        for name, field in action.model_fields.items()
        if name not in ("kind", "place")
    )
    yield from _table(["kind", "key", "usual", "meaning"], rows)


if __name__ == "__main__":
    typer.echo(render(), nl=False)
