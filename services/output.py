"""What goes to people and machines: data on stdout, words on stderr.

In: documents and messages. Out: text.
"""

from __future__ import annotations

import json
import re
from typing import Any

import typer

from schemas.errors import BadInputError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


def print_json(document: Any) -> None:
    """Print one JSON object on one line of stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False))


def say(message: str) -> None:
    """Print words on stderr."""
    typer.echo(message, err=True)


def seconds_of(text: str | None, option: str) -> float | None:
    """Parse a duration such as ``30s``, ``5m``, ``1h`` or ``90``.

    Raises:
        BadInputError: if it is not one.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or float(match[1]) <= 0:
        raise BadInputError("arguments", f"{option} {text!r}", "give a time above 0 such as 30s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2]]
