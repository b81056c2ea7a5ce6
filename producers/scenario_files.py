"""Scenarios that come with Quetma, and any other file.

In: a name or a path. Out: a checked `Scenario`.
"""

from __future__ import annotations

from pathlib import Path

from schemas.errors import BadInputError
from schemas.scenario import Scenario, read_scenario

_FOLDER = Path(__file__).parent / "scenarios"


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with Quetma."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_scenario(name_or_path: str) -> Scenario:
    """Load a scenario by name, or by path if it ends in ``.toml``.

    Raises:
        BadInputError: if there is no such scenario, or it is wrong.
    """
    if name_or_path.endswith(".toml"):
        return read_scenario(Path(name_or_path))
    if name_or_path not in scenario_names():
        allowed = ", ".join(scenario_names())
        raise BadInputError("scenario", f"no scenario {name_or_path!r}", f"give one of {allowed}, or a .toml file")
    return read_scenario(_FOLDER / f"{name_or_path}.toml")
