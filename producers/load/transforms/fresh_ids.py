"""The records of a run as those of another one: what a loop sends again must not be taken for a repetition.

In: frames of records. Out: the same, in which the run NAME is NAME~2, NAME~3, …, wherever records of ours name it.

The stream drops what has the run, source and sequence of a payment before it; so a loop is a run of its own. Its
payment ids are made of its name, as those of any run are, and what other topics of ours have of the run (cells,
accounts, codes, ledger, truth) is renamed with it: a capture that has them makes each loop a run that workers accept,
and one that has the ledger makes it one that `quetma verify` can judge. No run that is produced can have a `~` in its
name. What is not ours stays as it is. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import polars as pl

from producers.load.sources.places import Places
from producers.load.transforms.json_fields import cut, flat, texts, unquoted
from schemas.errors import BadInputError
from schemas.events import source_key
from schemas.topics import ACCOUNTS, CELLS, LEDGER, PAYMENTS, QR_CODES, TRUTH

MAX_RUN: Final = 64
"""Characters of a run's name; see `schemas.types.Identifier`."""
KEYED_BY_RUN: Final = (CELLS, ACCOUNTS, QR_CODES, TRUTH, LEDGER)
"""Topics of ours whose keys begin with the run."""
_NONE: Final = pl.Series([None], dtype=pl.String)
IDS: Final = ("payment_id", "refers_to")


def run_of_loop(run: str, number: int) -> str:
    """Return the name of a run in a loop, counted from 1."""
    return run if number == 1 else f"{run}~{number}"


def renamed(frame: pl.DataFrame, number: int, places: Places) -> pl.DataFrame:
    """Return the records of the loop of a number, which are the records themselves for the first one.

    Args:
        frame: of records. Those of no topic are taken for payments if they have a run, a source and a payment's id.
        number: of the loop, from 1 on.
        places: names the record that an error is about.

    Raises:
        BadInputError: if the name of a run gets too long.
    """
    if number == 1:
        return frame
    names = _Names(frame, number, places)
    if not names.any:
        return frame
    values = names.renamed_values()
    unchanged = names.old.is_null()
    columns = {
        "value": frame["value"].zip_with(unchanged, values.cast(pl.Binary)),
        "key": names.keys(frame),
        "headers": names.headers(frame["headers"]),
    }
    return frame.with_columns(**columns)


@lru_cache(1 << 17)
def _source_key(run: str, source: str) -> str:
    return source_key(run, source)


class _Names:
    """What runs and sources of a frame are called, and will be; null of what is not ours."""

    def __init__(self, frame: pl.DataFrame, number: int, places: Places) -> None:
        self._values = texts(frame["value"])
        self._flat = flat(self._values)
        self._run = cut(self._values, "run", self._flat)
        run = unquoted(self._run["token"])
        source = unquoted(cut(self._values, "source", self._flat)["token"])
        ours = _is_ours(frame["topic"], source, self._values) & run.is_not_null()
        self.old = run.zip_with(ours, _NONE)
        self.new = self.old + f"~{number}"
        self.any = bool(ours.any())
        self._check(frame, places)
        self.old_id, self.new_id = self._ids(source, number)

    def _check(self, frame: pl.DataFrame, places: Places) -> None:
        long = (self.new.str.len_chars() > MAX_RUN).arg_true()
        if len(long):
            found = f"{places.of(frame, long[0])}: run {self.new[long[0]]!r} has more than {MAX_RUN} characters"
            raise BadInputError("loop", found, "repeat the records as they are with --verbatim")

    def _ids(self, source: pl.Series, number: int) -> tuple[pl.Series, pl.Series]:
        """Return what payments' ids begin with, and will."""
        pairs = pl.DataFrame({"run": self.old, "source": source})
        known = pairs.unique().drop_nulls()
        old = [_source_key(*row) for row in known.iter_rows()]
        new = [_source_key(run_of_loop(run, number), one) for run, one in known.iter_rows()]
        known = known.with_columns(pl.Series("old", old, dtype=pl.String), pl.Series("new", new, dtype=pl.String))
        joined = pairs.join(known, on=["run", "source"], how="left", maintain_order="left")
        return joined["old"], joined["new"]

    def renamed_values(self) -> pl.Series:
        """Return values with the new names."""
        values = _exchanged(self._values, self._run, self.new)
        for field in IDS:
            having = values.str.contains(f'"{field}"', literal=True).fill_null(value=False).arg_true()
            if len(having):
                values = values.scatter(having, self._with_id(values, field, having))
        return values

    def _with_id(self, values: pl.Series, field: str, rows: pl.Series) -> pl.Series:
        """Return the values of some rows; a payment's id in them begins with the new digits of its source."""
        some = values.gather(rows)
        parts = cut(some, field, self._flat.gather(rows))
        old, new = self.old_id.gather(rows) + "-", self.new_id.gather(rows) + "-"
        ids = pl.DataFrame({"id": unquoted(parts["token"]), "old": old, "new": new})
        fresh = pl.when(pl.col("id").str.starts_with(pl.col("old"))).then(
            pl.col("new") + pl.col("id").str.strip_prefix(pl.col("old"))
        )
        return _exchanged(some, parts, ids.select(fresh).to_series())

    def keys(self, frame: pl.DataFrame) -> pl.Series:
        """Return keys with the new name, of topics whose keys begin with the run."""
        rows = frame["topic"].is_in(KEYED_BY_RUN).fill_null(value=False) & self.old.is_not_null()
        keys = frame["key"]
        places = rows.arg_true()
        if not len(places):
            return keys
        columns = (keys, self.old, self.new, self.old_id, self.new_id)
        new = [_key(*row) for row in zip(*(column.gather(places).to_list() for column in columns), strict=True)]
        return keys.scatter(places, pl.Series(new, dtype=pl.Binary))

    def headers(self, headers: pl.Series) -> pl.Series:
        """Return CloudEvents' attributes with the new names."""
        some = ((headers.list.len() > 0) & self.old.is_not_null()).arg_true()
        if not len(some):
            return headers
        columns = (headers, self.old, self.new, self.old_id, self.new_id)
        rows = zip(*(column.gather(some).to_list() for column in columns), strict=True)
        new = [[_header(header, *row) for header in one] for one, *row in rows]
        return _scattered(headers, some, new)


def _is_ours(topic: pl.Series, source: pl.Series, values: pl.Series) -> pl.Series:
    """Return which records may be ours."""
    known = topic.is_in([PAYMENTS, *KEYED_BY_RUN]).fill_null(value=False)
    alike = topic.is_null() & source.is_not_null() & values.str.contains('"payment_id"', literal=True)
    return known | alike.fill_null(value=False)


def _exchanged(values: pl.Series, parts: pl.DataFrame, new: pl.Series) -> pl.Series:
    """Return objects that are cut at a field, which has a new text where there is one."""
    exchanged = pl.select(pl.concat_str(parts["before"], _quoted(new), parts["after"])).to_series()
    return exchanged.zip_with(exchanged.is_not_null() & new.is_not_null(), values)


def _scattered(column: pl.Series, rows: pl.Series, new: list[Any]) -> pl.Series:
    """Return a column with other lists in some rows; Polars scatters no lists."""
    values = column.to_list()
    for row, value in zip(rows.to_list(), new, strict=True):
        values[row] = value
    return pl.Series(column.name, values, dtype=column.dtype)


def _key(key: bytes | None, old: str, new: str, old_id: str | None, new_id: str | None) -> bytes | None:
    if key is None:
        return None
    run, bar, rest = key.partition(b"|")
    if run != old.encode():
        return key
    if old_id is not None and new_id is not None and rest.startswith(f"{old_id}-".encode()):
        rest = new_id.encode() + rest[len(old_id) :]
    return new.encode() + bar + rest


def _header(header: dict[str, Any], old: str, new: str, old_id: str | None, new_id: str | None) -> dict[str, Any]:
    name, value = header["name"], header["value"]
    if name == "ce_source" and value is not None:
        value = _prefixed(value, f"/quetma/{old}/", f"/quetma/{new}/")
    elif name == "ce_id" and value is not None and old_id is not None:
        value = _prefixed(value, f"{old_id}-", f"{new_id}-")
    return {"name": name, "value": value}


def _prefixed(value: bytes, old: str, new: str) -> bytes:
    return new.encode() + value[len(old.encode()) :] if value.startswith(old.encode()) else value


def _quoted(names: pl.Series) -> pl.Series:
    """Return texts as JSON has them, quotes and all."""
    objects = pl.select(pl.struct(names.alias("")).struct.json_encode()).to_series()
    return objects.str.strip_prefix('{"":').str.strip_suffix("}")
