"""Times of anyone's files as UTC epoch milliseconds.

In: a column of whatever type, and what is known of it. Out: integers; null where it cannot be read. Pure.
"""

from __future__ import annotations

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from producers.load.sources.mapping import Time, Unit
from schemas.types import MAX_TIME_MS, MIN_TIME_MS

_PER_MS: Final[dict[Unit, float]] = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.f%z"


def epoch_ms(values: pl.Series, time: Time) -> pl.Series:
    """Return times, shape (n,), fractions of a millisecond cut off.

    Numbers without a unit are milliseconds, and then only those of this century are taken: most others are of another
    unit, and would be sent in a moment, or in a thousand years.
    """
    kind = values.dtype
    if kind in (pl.Date, pl.Datetime):  # no set: types with parameters differ in their hashes
        return _of_dates(values, time.zone)
    if kind.is_numeric():
        return _of_numbers(values, time.unit)
    if kind != pl.String:
        return pl.repeat(None, len(values), dtype=pl.Int64, eager=True)
    if time.unit is not None:
        return _of_numbers(values, time.unit)
    if time.format is not None:
        return _of_format(values, time.format, time.zone)
    return _of_text(values, time.zone)


def allowed(time: Time) -> str:
    """Return what such times may be, in words."""
    if time.unit is not None:
        return f"give a number of {time.unit} since 1970"
    if time.format is not None:
        return f"give times written as {time.format!r}" + ("" if time.zone else ", with %z, or a zone")
    return (
        "give ISO 8601 with an offset such as 2026-01-31T08:00:00+07:00 (or say the zone with --time-zone), "
        "or epoch milliseconds of 2000 to 2099 (or say the unit with --time-unit)"
    )


def _of_numbers(values: pl.Series, unit: Unit | None) -> pl.Series:
    per_ms = _PER_MS[unit or "ms"]
    whole = values.cast(pl.Int64, strict=False) if not values.dtype.is_float() else None
    if whole is not None and per_ms >= 1:
        times = whole // int(per_ms)
    elif whole is not None:
        times = whole * round(1 / per_ms)
    else:
        times = pl.repeat(None, len(values), dtype=pl.Int64, eager=True)
    if times.null_count() > values.null_count():
        real = values.cast(pl.Float64, strict=False)
        real = real.set(~real.is_finite().fill_null(value=True), None)
        # Rounded to a microsecond before the fraction is cut off: 1.001 s in binary is a little less than that.
        times = times.zip_with(times.is_not_null(), (real / per_ms).round(3).floor().cast(pl.Int64, strict=False))
    if unit is None:
        times = times.set(~times.is_between(MIN_TIME_MS, MAX_TIME_MS, closed="left"), None)
    return times


def _of_dates(values: pl.Series, zone: str | None) -> pl.Series:
    at = values.cast(pl.Datetime("us")) if values.dtype == pl.Date else values
    if getattr(at.dtype, "time_zone", None) is None:
        if zone is None:
            return pl.repeat(None, len(values), dtype=pl.Int64, eager=True)
        at = at.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return at.dt.epoch("ms")


def _of_format(values: pl.Series, written: str, zone: str | None) -> pl.Series:
    return _of_dates(values.str.to_datetime(written, time_unit="us", strict=False), zone)


def _of_text(values: pl.Series, zone: str | None) -> pl.Series:
    """Read ISO 8601, the usual form of it at once, and epoch milliseconds."""
    usual = values.str.replace("[Zz]$", "+00:00").str.replace(" ", "T", literal=True)
    times = usual.str.to_datetime(_ISO, time_unit="us", strict=False).dt.epoch("ms")
    times = times.zip_with(times.is_not_null(), _of_numbers(values, None))
    rest = (times.is_null() & values.is_not_null()).arg_true()
    if len(rest):
        read = [_of_iso(text, zone) for text in values.gather(rest).to_list()]
        times = times.scatter(rest, pl.Series(read, dtype=pl.Int64))
    return times


def _of_iso(text: str, zone: str | None) -> int | None:
    try:
        at = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if at.tzinfo is None:
        if zone is None:
            return None
        at = at.replace(tzinfo=ZoneInfo(zone))
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
