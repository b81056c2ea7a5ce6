"""Scenarios that come with Quetma, and any other file, with what they extend.

In: a name or a path. Out: a checked `Scenario`, or `Resolved`, which also knows the file of each value.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from schemas.errors import BadInputError
from schemas.scenario import Scenario
from schemas.scenario.merging import Tree
from schemas.scenario.parsing import Resolved, ScenarioFile, merge_chain, parse_file, resolve

_FOLDER = Path(__file__).parent / "scenarios"


@cache
def _built_in() -> dict[str, bool]:
    """Names of what comes with Quetma, and whether each is a scenario; the others are only there to be extended."""
    return {path.stem: "name" in tomllib.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.toml"))}


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with Quetma."""
    return [name for name, is_scenario in _built_in().items() if is_scenario]


def load_scenario(name_or_path: str) -> Scenario:
    """Load a scenario by name, or by path if it ends in ``.toml``.

    Raises:
        BadInputError: if there is no such scenario, or it is wrong.
    """
    return resolve_scenario(name_or_path).scenario


def resolve_scenario(name_or_path: str) -> Resolved:
    """Load a scenario with the file of each of its values; errors as in :func:`load_scenario`."""
    if name_or_path.endswith(".toml"):
        return resolve(_chain(Path(name_or_path)))
    names = scenario_names()
    if name_or_path not in names:
        allowed = f"give one of {', '.join(names)}, or a .toml file"
        if name_or_path in _built_in():
            raise BadInputError("scenario", f"{name_or_path!r} is a base to extend, no scenario of its own", allowed)
        raise BadInputError("scenario", f"no scenario {name_or_path!r}", allowed)
    return resolve(_chain(_FOLDER / f"{name_or_path}.toml"))


def base_values(name: str) -> dict[str, Tree]:
    """Return the values of something that comes with Quetma, a base or a scenario, unchecked."""
    return merge_chain(_chain(_FOLDER / f"{name}.toml"))


def parse_scenario(text: str, name: str, folder: Path | None = None) -> Resolved:
    """Make a scenario of a text and what it extends.

    Args:
        text: TOML.
        name: what errors call it.
        folder: where paths that it extends begin; none: the present one.

    Raises:
        BadInputError: if it is wrong.
    """
    return resolve(_with_bases(parse_file(text, name), folder or Path(), ()))


def _chain(path: Path) -> list[ScenarioFile]:
    return _with_bases(_read(path), path.parent, (path.resolve(),))


def _with_bases(file: ScenarioFile, folder: Path, seen: tuple[Path, ...]) -> list[ScenarioFile]:
    """Return a file behind all that it extends.

    Args:
        file: the file.
        folder: its folder.
        seen: its own path and those of the files that extend it.
    """
    base = file.extends
    if base is None:
        return [file]
    path = folder / base if base.endswith(".toml") else _FOLDER / f"{base}.toml"
    if path.resolve() in seen:
        raise BadInputError("scenario", f"{file.name}: extends = {base!r} leads back to itself", "extend another one")
    if not base.endswith(".toml") and base not in _built_in():
        allowed = f"give one of {', '.join(_built_in())}, or a .toml file"
        raise BadInputError("scenario", f"{file.name}: extends = {base!r}: no such scenario", allowed)
    if not path.is_file():
        allowed = f"give a path relative to {folder}, or one of {', '.join(_built_in())}"
        raise BadInputError("scenario", f"{file.name}: extends = {base!r}: no such file", allowed)
    return [*_with_bases(_read(path), path.parent, (*seen, path.resolve())), file]


def _read(path: Path) -> ScenarioFile:
    name = path.name if path.parent == _FOLDER else str(path)
    try:
        return parse_file(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError("scenario", f"{name}: {error}", "give a readable UTF-8 file") from None
