"""How the columns of anyone's file become records: `--mapping FILE.toml`.

In: TOML, such as::

    key = "customer"
    value = { amount = "total", at = "created" }  # or a column, or a list of columns; the whole row if left out
    time = { column = "created", unit = "s" }
    headers = { trace = "trace_id" }

Out: a `Mapping`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.errors import BadInputError

Unit = Literal["s", "ms", "us", "ns"]
Type = Literal["int", "float", "bool", "text"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Time(_Part):
    """The column that says when a record was made."""

    column: str
    unit: Unit | None = None
    """What numbers count since 1970; ISO 8601 text, or milliseconds, if left out."""
    format: str | None = None
    """How text is written, by chrono's specifiers, such as ``%d/%m/%Y %H:%M:%S``."""
    zone: str | None = None
    """Where clocks were read that tell no offset, such as ``Asia/Ho_Chi_Minh``."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError("no such time zone; give a name such as Asia/Ho_Chi_Minh or UTC")
        return zone


class Mapping(_Part):
    """Which columns make what of a record."""

    time: Time | None = None
    key: str | None = None
    """Column; records have no key if left out."""
    value: str | list[str] | dict[str, str] | None = None
    """A column as it is; a JSON object of columns, by their own names or others; the whole row as one."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Columns by the names of headers. A row without a value has no such header."""
    topic: str | None = None
    """Column."""
    partition: str | None = None
    """Column."""
    types: dict[str, Type] = Field(default_factory=dict)
    """What columns of a CSV file are, which says nothing of it; text where left out."""

    def columns(self) -> Iterator[str]:
        """Yield every column that it names."""
        named = (self.time.column if self.time else None, self.key, self.topic, self.partition)
        yield from (column for column in named if column is not None)
        yield from self.headers.values()
        yield from self.types
        yield from self.value_columns().values()

    def value_columns(self) -> dict[str, str]:
        """Return the columns of the value by their names in it; empty where the whole row is."""
        match self.value:
            case None:
                return {}
            case str():
                return {self.value: self.value}
            case list():
                return {column: column for column in self.value}
            case _:
                return self.value


def load_mapping(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        BadInputError: if there is none, or it is wrong; names each field that is.
    """
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError("mapping", f"{path}: {error}", "give a readable TOML file") from None
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc']))} = {one['input']!r}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False)
        )
        allowed = f"allowed are {', '.join(Mapping.model_fields)}"
        raise BadInputError("mapping", f"{path}: {found}", allowed) from None
