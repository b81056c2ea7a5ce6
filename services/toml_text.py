"""Values of a scenario as TOML that people like to read.

In: the tree of a scenario's values. Out: TOML, each line with the file that the value stands in.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.scenario.merging import Leaf, Tree

FIVE_DIGITS = 10_000
"""From five digits on, numbers go by threes."""


def inline(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= FIVE_DIGITS else str(value)
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(inline(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {inline(one)}' for key, one in value.items())} }}"
    return repr(value)


def lines(tree: Mapping[str, Tree], path: str = "", header: str = "", *, with_files: bool = True) -> Iterator[str]:
    """Yield the lines of a table and of those in it.

    Args:
        tree: the table.
        path: its dotted key.
        header: its first line.
        with_files: whether each line ends with its file.
    """
    values = {key: part for key, part in tree.items() if isinstance(part, Leaf)}
    if header and (values or header.startswith("[[")):
        yield ""
        yield header
    for key, leaf in values.items():
        yield from _value(key, leaf, with_files=with_files)
    for key, part in tree.items():
        below = f"{path}.{key}" if path else key
        if isinstance(part, dict):
            yield from lines(part, below, f"[{below}]", with_files=with_files)
        elif isinstance(part, list):
            for row in part:
                assert isinstance(row, dict)
                yield from lines(row, below, f"[[{below}]]", with_files=with_files)


def _value(key: str, leaf: Leaf, *, with_files: bool) -> Iterator[str]:
    comment = f"  # {leaf.file}" if with_files else ""
    if isinstance(leaf.value, list) and any(isinstance(one, dict) for one in leaf.value):
        yield f"{key} = [{comment}"
        yield from (f"  {inline(one)}," for one in leaf.value)
        yield "]"
    else:
        yield f"{key} = {inline(leaf.value)}{comment}"
