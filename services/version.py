"""Which version runs.

In: the installed package. Out: its version.
"""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("quetma")
