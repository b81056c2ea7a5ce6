"""`quetma topics`: the table of topics, and the broker made to match it.

In: arguments. Out: a listing, or topics.
"""

from __future__ import annotations

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from schemas.topics import TOPICS
from services.broker import check_reachable
from services.options import BrokerOption, JsonOption, settings_for
from services.output import print_json
from services.topic_admin import ensure_topics, topic_states

app = typer.Typer(help="Topics: list them, create them.", no_args_is_help=True)


@app.command("list")
def list_(*, broker: BrokerOption = None, json: JsonOption = False) -> None:
    """List the topics of the table; with a broker, also what it has of them."""
    settings = settings_for(broker, need_broker=False)
    found: dict[str, int | None] = {}
    if settings.kafka.bootstrap_servers:
        uvloop.run(check_reachable(settings.kafka.bootstrap_servers, settings.kafka.connect_timeout_seconds))
        found = {state.topic.name: state.found for state in uvloop.run(topic_states(settings.kafka))}
    rows = [
        {
            "name": topic.name,
            "key": topic.key,
            "partitions": topic.partition_count(settings.kafka.partitions),
            "found": found.get(topic.name),
            "cleanup": topic.cleanup,
            "meaning": topic.meaning,
        }
        for topic in TOPICS
    ]
    if json:
        print_json(rows)
        return
    table = Table("topic", "key", "partitions", "on the broker", "clean-up", "meaning", box=None)
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["key"]),
            str(row["partitions"]),
            "-" if row["found"] is None else str(row["found"]),
            str(row["cleanup"]),
            str(row["meaning"]),
        )
    Console().print(table)


@app.command()
def create(*, broker: BrokerOption = None) -> None:
    """Create the topics that are missing."""
    settings = settings_for(broker)
    assert settings.kafka.bootstrap_servers is not None
    uvloop.run(check_reachable(settings.kafka.bootstrap_servers, settings.kafka.connect_timeout_seconds))
    for name in uvloop.run(ensure_topics(settings.kafka)):
        typer.echo(name)
