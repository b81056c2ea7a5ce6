"""Tools that some tests need beside Python: looked for on PATH, and never missed in silence.

In: names of programs. Out: their paths, or a skip with its reason; a failure when QUETMA_TEST_REQUIRE_ALL=1.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require_tool(*names: str) -> tuple[str, ...]:
    """The paths of these programs; without one of them the test is skipped (or fails, see above)."""
    found = {name: shutil.which(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        unavailable(f"not installed: {', '.join(missing)}")
    return tuple(path for path in found.values() if path is not None)


def unavailable(reason: str) -> None:
    """End the test for want of something outside: skipped, or failed when everything is required."""
    if os.environ.get("QUETMA_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
