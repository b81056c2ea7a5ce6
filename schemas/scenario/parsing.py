"""From the files of a chain to a checked scenario.

In: TOML texts, from the base to the scenario's own. Out: `Resolved`, or one error that lists everything wrong.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from schemas.errors import BadInputError
from schemas.scenario.document import Scenario
from schemas.scenario.errors import FIX, all_at_once, explain
from schemas.scenario.merging import EXTENDS, WITHOUT, Tree, drop, grow, merge, plain


@dataclass(frozen=True)
class ScenarioFile:
    """One file of a chain."""

    name: str
    """For errors."""
    document: dict[str, Any]

    @property
    def extends(self) -> str | None:
        """The scenario that it extends, a name or a path; None for one that stands alone.

        Raises:
            BadInputError: if it is no text.
        """
        base = self.document.get(EXTENDS)
        if base is not None and not isinstance(base, str):
            raise BadInputError("scenario", f"{self.name}: extends = {base!r}", "give a name or a .toml file")
        return base

    @property
    def without(self) -> list[str]:
        """Ids of the markets and interventions of its base that it does not take.

        Raises:
            BadInputError: if it is no list of ids, or there is no base.
        """
        ids = self.document.get(WITHOUT, [])
        if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
            raise BadInputError("scenario", f"{self.name}: without = {ids!r}", "give a list of ids")
        if ids and self.extends is None:
            raise BadInputError("scenario", f"{self.name}: without = {ids!r}, but it extends nothing", FIX)
        return ids


@dataclass(frozen=True)
class Resolved:
    """A scenario with all that it takes from others."""

    tree: dict[str, Tree]
    """Its values in the order of the schema, each with the file that it stands in."""
    scenario: Scenario

    @cached_property
    def document(self) -> dict[str, Any]:
        """The values as one TOML document has them."""
        document: dict[str, Any] = plain(self.tree)
        return document


def parse_file(text: str, name: str) -> ScenarioFile:
    """Parse one file.

    Raises:
        BadInputError: if it is not TOML.
    """
    try:
        return ScenarioFile(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadInputError("scenario", f"{name}: not TOML: {error}", FIX) from None


def merge_chain(chain: Sequence[ScenarioFile]) -> dict[str, Tree]:
    """Return the values of a chain of files, from the base to the scenario's own.

    Raises:
        BadInputError: if a file drops rows that are not there.
    """
    tree: dict[str, Tree] = {}
    for file in chain:
        tree, unknown = drop(tree, file.without)
        if unknown:
            fix = "give ids of markets and interventions of what it extends"
            raise BadInputError("scenario", f"{file.name}: without: no {', '.join(unknown)}", fix)
        own = {key: part for key, part in file.document.items() if key not in (EXTENDS, WITHOUT)}
        merged = merge(tree, {key: grow(part, file.name) for key, part in own.items()})
        assert isinstance(merged, dict)
        tree = merged
    return tree


def resolve(chain: Sequence[ScenarioFile]) -> Resolved:
    """Make and check the scenario of a chain of files, from the base to its own.

    Raises:
        BadInputError: with every error at once: file, key, value, what is allowed.
    """
    tree = merge_chain(chain)
    try:
        scenario = Scenario.model_validate(plain(tree))
        return Resolved({key: tree[key] for key in Scenario.model_fields if key in tree}, scenario)
    except ValidationError as error:
        raise all_at_once(explain(error, tree, chain[-1].name)) from None
