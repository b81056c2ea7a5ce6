"""Prints the page.

In: nothing. Out: docs/scaling.md.
"""

from __future__ import annotations

import typer

from services.scaling.page import render

typer.echo(render(), nl=False)
