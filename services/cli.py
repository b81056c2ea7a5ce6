"""The command line: the one place that wires producers, streams and services together.

In: arguments and environment. Out: data on stdout, words on stderr, an exit code (`schemas.errors.ExitCode`).
Only the module of the command that is called is loaded: a stream worker need not wait for what draws reports.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Collection
from typing import Final, NoReturn

import typer

from schemas.errors import ExitCode, QuetmaError
from services.output import say

COMMANDS: Final = {
    "demo": "services.demo_commands:demo",
    "produce": "services.produce_commands:produce",
    "load": "services.load_commands:load",
    "simulate": "services.simulate_commands:simulate",
    "stream": "services.stream_commands:stream",
    "serve": "services.stream_commands:serve",
    "verify": "services.verify_commands:verify",
    "broker": "services.broker_commands:broker",
    "chaos": "services.chaos_commands:chaos",
    "record": "services.record_commands:record",
    "bench": "services.bench_commands:bench",
    "qr": "services.qr_commands:app",
    "topics": "services.topic_commands:app",
    "schema": "services.schema_commands:schema",
    "interventions": "services.intervention_commands:app",
    "scenario": "services.scenario_commands:app",
    "replay": "services.replay_commands:replay",
    "report": "services.report_commands:app",
}
"""Each command and where it is: a function, or a group of commands."""


def build_app(names: Collection[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the command line with some of its commands, all by default."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback(help="Quetma: an event-driven simulator of QR payments in Vietnamese provinces.")(_no_options)
    for name in names:
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line and end the process with its exit code."""
    called = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        build_app(called or tuple(COMMANDS))()
    except QuetmaError as error:
        say(f"quetma: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _end_interrupted()
    except SystemExit as ended:  # typer makes one of an interrupt
        if ended.code == ExitCode.INTERRUPTED:
            _end_interrupted()
        raise


def _end_interrupted() -> NoReturn:
    """End with the code of an interrupt, whatever was interrupted.

    Not by sys.exit: an interrupt that came within an exec, as dataclasses and typer use it, makes CPython end the
    process by SIGINT all the same. Everything has been closed on the way here.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


def _no_options() -> None:
    """Have no options of its own; a callback makes a group even of a single command."""


if __name__ == "__main__":
    main()
