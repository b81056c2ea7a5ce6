"""One scenario from a chain of files, each of which extends the one before.

In: TOML documents, each with the name of its file. Out: a tree of all values with the file that each stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

EXTENDS, WITHOUT = "extends", "without"
"""Keys that say how files make a scenario, and are no part of it."""
DROPPABLE = ("market", "intervention")
"""Arrays of which `without` drops rows."""


@dataclass(frozen=True)
class Leaf:
    """A value that is taken or replaced as a whole: a figure with its source, a word, a list."""

    value: Any
    file: str
    """Where it stands."""


Tree: TypeAlias = "Leaf | dict[str, Tree] | list[Tree]"


def grow(value: Any, file: str) -> Tree:
    """Return the tree of a part of one file."""
    if isinstance(value, dict) and "value" not in value:
        return {key: grow(part, file) for key, part in value.items()}
    if _has_rows(value):
        return [grow(row, file) for row in value]
    return Leaf(value, file)


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) and "id" in row for row in value)


def merge(base: Tree, over: Tree) -> Tree:
    """Return a base with what a file that extends it says: tables key by key, rows by id, the rest replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: merge(base[key], part) if key in base else part for key, part in over.items()}
    if isinstance(base, list) and isinstance(over, list):
        return _merged_rows(base, over)
    return over


def _merged_rows(base: list[Tree], over: list[Tree]) -> list[Tree]:
    rows, known = list(base), [row_id(row) for row in base]
    for row in over:
        if row_id(row) in known:
            place = known.index(row_id(row))
            known[place] = None  # a second row of this id is kept beside it, and refused as such
            rows[place] = merge(rows[place], row)
        else:
            rows.append(row)
    return rows


def row_id(row: Tree) -> Any:
    """Return the id of a row, or None."""
    id_ = row.get("id") if isinstance(row, dict) else None
    return id_.value if isinstance(id_, Leaf) else None


def drop(tree: dict[str, Tree], ids: Sequence[str]) -> tuple[dict[str, Tree], list[str]]:
    """Return a tree without the markets and interventions of these ids, and the ids that were not there."""
    left, missing = dict(tree), set(ids)
    for key in DROPPABLE:
        rows = tree.get(key)
        if isinstance(rows, list):
            missing -= {row_id(row) for row in rows}
            left[key] = [row for row in rows if row_id(row) not in ids]
    return left, [id_ for id_ in ids if id_ in missing]


def plain(tree: Tree) -> Any:
    """Return the values of a tree, as one TOML document has them."""
    if isinstance(tree, Leaf):
        return tree.value
    if isinstance(tree, list):
        return [plain(row) for row in tree]
    return {key: plain(part) for key, part in tree.items()}


def file_of(tree: Tree, key: Sequence[str | int]) -> str | None:
    """Return the file that a value stands in, or for one that is missing in a row, the file that names the row last.

    None if that cannot be told: a key that is missing in a table.
    """
    row: Leaf | None = None
    for step in key:
        if isinstance(tree, dict):
            id_ = tree.get("id")
            row = id_ if isinstance(id_, Leaf) else row
            if step not in tree:
                break
            tree = tree[str(step)]
        elif isinstance(tree, list) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        if isinstance(tree, Leaf):
            return tree.file
    return row.file if row else None


def leaves(tree: Tree, key: str = "") -> Iterator[tuple[str, Leaf]]:
    """Yield all values of a tree with their dotted keys; a row's key has its id in brackets."""
    if isinstance(tree, Leaf):
        yield key, tree
    elif isinstance(tree, list):
        for row in tree:
            yield from leaves(row, f"{key}[{row_id(row)}]")
    else:
        for name, part in tree.items():
            yield from leaves(part, f"{key}.{name}" if key else name)
