"""Records moved in time: their timestamps, and fields of theirs.

In: frames of records. Out: the same, later or earlier. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import polars as pl

from producers.load.sources.places import Places
from producers.load.transforms.json_fields import cut, is_object, texts
from schemas.errors import BadInputError
from schemas.topics import ACCOUNTS, ALERTS, CELLS, INTERVENTIONS, LEDGER, QR_CODES, TRUTH

_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}(?=[,}])").match
Timestamps = Literal["keep", "shift", "now"]
BESIDE_PAYMENTS: Final = (CELLS, QR_CODES, ACCOUNTS, TRUTH, LEDGER, ALERTS, INTERVENTIONS)
"""Topics of ours that a capture of payments may have too."""
FEW: Final = 400
"""Up to so many records, one by one takes less time than columns do: what is due together is often few."""


def moved(frame: pl.DataFrame, by: int | pl.Series, fields: Sequence[str], places: Places) -> pl.DataFrame:
    """Move records in time.

    Args:
        frame: of records.
        by: milliseconds, of all or of each.
        fields: of values that are JSON objects: epoch milliseconds, which move by as much. All other bytes of a value
            stay as they are. Values that are no JSON objects stay whole: a capture of ours may have broken ones. So do
            those of our topics that go with payments and have no such field.
        places: names the record that an error is about.

    Raises:
        BadInputError: if an object has no such field, or it is no whole number.
    """
    shift = pl.repeat(by, len(frame), dtype=pl.Int64, eager=True) if isinstance(by, int) else by
    frame = frame.with_columns((frame["timestamp"] + shift).alias("timestamp"))
    for field in fields:
        frame = frame.with_columns(_rewritten(frame, field, shift, places).alias("value"))
    return frame


def _rewritten(frame: pl.DataFrame, field: str, shift: pl.Series, places: Places) -> pl.Series:
    if len(frame) > FEW:
        return _many_rewritten(frame, field, shift, places)
    mark = msgspec.json.encode(field) + b":"
    values, rest = frame["value"].to_list(), []
    for row, (value, by) in enumerate(zip(values, shift.to_list(), strict=True)):
        if (found := _plain_number(value, mark)) is None:
            rest.append(row)
        else:
            begin, end = found
            values[row] = b"%b%d%b" % (value[:begin], int(value[begin:end]) + by, value[end:])
    rewritten = pl.Series(values, dtype=pl.Binary)
    if not rest:
        return rewritten
    return rewritten.scatter(rest, _many_rewritten(frame[rest], field, shift[rest], places))


def _plain_number(value: bytes | None, mark: bytes) -> tuple[int, int] | None:
    """Return where the number behind a mark is in an object that is flat and written as ours are; else None."""
    if value is None or value.count(b"{") != 1 or b"[" in value or b"\\" in value or not value.startswith(b"{"):
        return None
    begin = value.find(mark)
    if begin < 1 or value[begin - 1] not in b"{,":
        return None
    number = _NUMBER(value, begin + len(mark))
    return None if number is None or value.find(mark, number.end()) >= 0 else number.span()


def _many_rewritten(frame: pl.DataFrame, field: str, shift: pl.Series, places: Places) -> pl.Series:
    text = texts(frame["value"])
    parts = cut(text, field)
    number = parts["token"].str.extract("^(-?[0-9]{1,18})$", 1).cast(pl.Int64)
    beside = frame["topic"].is_in(BESIDE_PAYMENTS).fill_null(value=False) & parts["token"].is_null()
    for row in (number.is_null() & text.is_not_null() & ~beside).arg_true().to_list():
        token = parts["token"][row]
        if token is not None or is_object(text[row]):
            found = f"{places.of(frame, row)}: field {field!r} " + ("is missing" if token is None else f"= {token}")
            raise BadInputError(
                "rewrite", found, "give fields that are whole numbers, epoch milliseconds, in every record"
            )
    rewritten = pl.select(pl.concat_str(parts["before"], (number + shift).cast(pl.String), parts["after"])).to_series()
    return frame["value"].zip_with(number.is_null(), rewritten.cast(pl.Binary))
