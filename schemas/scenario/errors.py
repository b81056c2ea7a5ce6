"""What is wrong with a scenario, in lines for people.

In: pydantic's errors and the tree of the scenario's values. Out: one line each: file, key, value, what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from schemas.errors import BadInputError
from schemas.scenario.merging import Tree, file_of, row_id

PYDANTICS_KEY = "[key]"
"""What pydantic adds to the place of a wrong key, as against its value."""
FIX = "see docs/scenarios.md, and docs/parameters.md for what each key takes"


def all_at_once(lines: Iterable[str]) -> BadInputError:
    """Return one error that lists every problem, a line each."""
    wrong = list(lines)
    listed = "".join(f"\n  {line}" for line in wrong)
    return BadInputError("scenario", f"{len(wrong)} error{'s' if len(wrong) > 1 else ''}{listed}", FIX)


def explain(error: ValidationError, tree: Tree, file: str) -> list[str]:
    """Return the lines of an error.

    Args:
        error: of the scenario made of the tree.
        tree: its values, each with its file.
        file: the scenario's own file, named where the tree does not tell another.
    """
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    lines: list[str] = []
    for item in items:
        if not _follows(item, items):
            key = _without_kind(item["loc"])
            place = file_of(tree, key) or file
            lines += (f"{place}: {line}" for line in wording(item, _named(tree, key)).splitlines())
    return lines


def _follows(item: dict[str, Any], items: list[dict[str, Any]]) -> bool:
    """Tell whether a list is called too short only because items of it are wrong, which is said already."""
    place = item["loc"]
    inner = (other["loc"] for other in items if len(other["loc"]) > len(place))
    return item["type"] == "too_short" and any(loc[: len(place)] == place for loc in inner)


def _without_kind(key: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Pydantic puts the kind of an intervention into the way to its keys; in the file it is no table."""
    return (*key[:2], *key[3:]) if key[:1] == ("intervention",) else key


def _named(tree: Tree, key: tuple[str | int, ...]) -> str:
    """Return a dotted key; rows are named by their ids, as after a merge their numbers tell nobody anything."""
    words: list[str] = []
    part: Tree | dict[str, Tree] = tree
    for step in (step for step in key if step != PYDANTICS_KEY):
        if isinstance(part, list) and isinstance(step, int) and step < len(part):
            part = part[step]
            words.append(str(row_id(part) or step))
            continue
        part = part[step] if isinstance(part, dict) and isinstance(step, str) and step in part else {}
        words.append(str(step))
    return ".".join(words)


def wording(item: dict[str, Any], key: str) -> str:
    """Return what is wrong; what does not fit together has no key, and a line for each problem."""
    if item["type"] == "missing":
        return f"{key}: missing, required"
    if item["type"] == "extra_forbidden":
        return f"{key} = {item['input']!r}: no such key"
    if item["type"] == "value_error":
        return f"{key}: {item['ctx']['error']}" if key else str(item["ctx"]["error"])
    if item["type"].startswith("union_tag"):
        return f"{key}: {item['msg'][0].lower()}{item['msg'][1:]}"
    return f"{key} = {item['input']!r}: {item['msg'].lower()}"
