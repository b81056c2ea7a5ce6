"""The official JSON Schema of AsyncAPI documents: npm brings it once, by the lock file, and it is found again.

In: package.json and package-lock.json. Out: the schema of a version.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from pathlib import Path
from typing import Any

from services.leash import leashed
from tests.tools import require_tool

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
SPECS = MODULES / "@asyncapi" / "specs"
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")


def official_schema(version: str) -> dict[str, Any]:
    """The schema of AsyncAPI documents of a version; skips the test where npm is missing."""
    npm = require_tool("npm")[0]
    MODULES.mkdir(exist_ok=True)
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once: the second one waits and finds it done
        if _installed() != _wanted():
            _run(npm, *INSTALL)
    schema: dict[str, Any] = json.loads((SPECS / "schemas" / f"{version}-without-$id.json").read_text(encoding="utf-8"))
    return schema


def _wanted() -> str:
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))
    version: str = lock["packages"]["node_modules/@asyncapi/specs"]["version"]
    return version


def _installed() -> str | None:
    package = SPECS / "package.json"
    return json.loads(package.read_text(encoding="utf-8"))["version"] if package.exists() else None


def _run(*command: str) -> None:
    done = subprocess.run(
        leashed(command), cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2_000:]}")
