"""One field of many JSON objects, found without decoding them, so that all around it stays as it is, byte for byte.

In: texts. Out: what stands before the field's value, the value, and what stands behind it.
Objects that are flat and written as ours are, are cut at once; others are scanned one by one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import polars as pl

CUT: Final = pl.Schema({"before": pl.String(), "token": pl.String(), "after": pl.String()})

_SCALAR: Final = r'^("[^"]*"|-?[0-9][0-9.eE+-]*|true|false|null)'
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def flat(values: pl.Series) -> pl.Series:
    """Return which texts may be objects without lists, objects and escapes in them, as those of ours are."""
    value = pl.col("value")
    is_flat = (
        value.str.starts_with("{")
        & (value.str.count_matches("{", literal=True) == 1)
        & ~value.str.contains("[", literal=True)
        & ~value.str.contains("\\", literal=True)
    )
    return values.alias("value").to_frame().select(is_flat.fill_null(value=False)).to_series()


def cut(values: pl.Series, name: str, plain: pl.Series | None = None) -> pl.DataFrame:
    """Cut objects around the value of a field of theirs, not one of objects within them.

    Args:
        values: texts, shape (n,). They need not be JSON: what breaks off behind the field is cut all the same.
        name: of the field.
        plain: what `flat` says of them, if that is known.

    Returns:
        Columns `CUT`. All three are null where there is no such field; joined they are the text.
    """
    mark = f"{msgspec.json.encode(name).decode()}:"
    value = pl.col("value")
    halves = value.str.splitn(mark, 2).struct
    frame = (
        values.alias("value")
        .to_frame()
        .select(
            value,
            (flat(values) if plain is None else plain).alias("plain"),
            halves.field("field_0").alias("head"),
            halves.field("field_1").alias("rest"),
        )
    )
    frame = frame.with_columns(pl.col("rest").str.extract(_SCALAR, 1).alias("token"))
    frame = frame.with_columns(pl.col("rest").str.strip_prefix(pl.col("token")).alias("after"))
    quick = (
        pl.col("plain")
        & pl.col("head").str.contains(r"[{,]$")
        & pl.col("after").str.contains(r"^[,}]")
        & ~pl.col("after").str.contains(mark, literal=True)
    )
    absent = pl.col("plain") & pl.col("rest").is_null() & ~value.str.contains(mark[:-1], literal=True)
    frame = frame.with_columns(
        quick.fill_null(value=False).alias("quick"), absent.fill_null(value=False).alias("absent")
    )
    done = frame.select(
        pl.when("quick").then(pl.col("head") + mark).alias("before"),
        pl.when("quick").then("token").alias("token"),
        pl.when("quick").then("after").alias("after"),
    )
    rest = (~frame["quick"] & ~frame["absent"] & values.is_not_null()).arg_true()
    if not len(rest):
        return done
    found = pl.DataFrame([_scanned(text, name) for text in values.gather(rest).to_list()], schema=CUT, orient="row")
    return done.select(column.scatter(rest, found[column.name]) for column in done.iter_columns())


def is_object(text: str | bytes | None) -> bool:
    """Whether a text is a whole JSON object."""
    try:
        _decode_object(text or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def texts(values: pl.Series) -> pl.Series:
    """Return bytes as texts; null where they are not UTF-8."""
    try:
        return values.cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.Series(values.name, [_text(value) for value in values.to_list()], dtype=pl.String)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def unquoted(tokens: pl.Series) -> pl.Series:
    """Return the texts that JSON strings stand for; null where a token is none."""
    quoted = tokens.str.starts_with('"')
    plain = tokens.str.strip_prefix('"').str.strip_suffix('"')
    out = plain.zip_with(quoted.fill_null(value=False), pl.Series([None], dtype=pl.String))
    escaped = (quoted & tokens.str.contains("\\", literal=True)).arg_true()
    if len(escaped):
        out = out.scatter(escaped, pl.Series([_decode_text(token) for token in tokens.gather(escaped).to_list()]))
    return out


def _scanned(text: str, name: str) -> tuple[Any, Any, Any]:
    """Cut one text, whatever is in it. Where an object has a field twice, the last one counts, as parsers have it."""
    try:
        if name not in _decode_object(text):
            return None, None, None
    except msgspec.MsgspecError:
        return None, None, None
    begin, end = [span for key, *span in _members(text) if key == name][-1]
    return text[:begin], text[begin:end], text[end:]


def _members(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the fields of a JSON object, and where the value of each begins and ends."""
    depth, key, begin = 0, "", None
    for match in _TOKEN.finditer(text):
        token = match[0]
        if depth == 1 and begin is None and token.startswith('"'):
            key = _decode_text(token)
        elif depth == 1 and begin is None and token in {":"}:
            begin = match.end()
        elif depth == 1 and token in {",", "}"} and begin is not None:
            yield key, *_trimmed(text, begin, match.start())
            begin = None
        depth += (token in {"{", "["}) - (token in {"}", "]"})


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int]:
    """Return where text begins and ends without the white space around it."""
    part = text[begin:end]
    return begin + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
