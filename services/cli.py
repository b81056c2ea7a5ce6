"""The command line: the one place that wires producers, streams and services together.

In: arguments and environment. Out: data on stdout, words on stderr, an exit code (`schemas.errors.ExitCode`).
"""

from __future__ import annotations

import sys

import typer

from schemas.errors import ExitCode, QuetmaError
from services import (
    bench_commands,
    demo_commands,
    produce_commands,
    qr_commands,
    report_commands,
    scenario_commands,
    simulate_commands,
    stream_commands,
    topic_commands,
    verify_commands,
)
from services.output import say

app = typer.Typer(
    help="Quetma: an event-driven simulator of QR payments in Vietnamese provinces.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo_commands.demo)
app.command()(produce_commands.produce)
app.command()(simulate_commands.simulate)
app.command()(stream_commands.stream)
app.command()(stream_commands.serve)
app.command()(verify_commands.verify)
app.command()(demo_commands.broker)
app.command()(bench_commands.bench)
app.add_typer(qr_commands.app, name="qr")
app.add_typer(topic_commands.app, name="topics")
app.add_typer(scenario_commands.app, name="scenario")
app.add_typer(report_commands.app, name="report")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        app()
    except QuetmaError as error:
        say(f"quetma: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
