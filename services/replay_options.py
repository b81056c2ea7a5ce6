"""What `quetma replay` is asked for: its options, checked against each other.

In: arguments as they were typed. Out: `Mapping`, `Changes`, `Pace`; an error names the option, its value, and what is
allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar, get_args

import polars as pl
import typer

from producers.load.sources.mapping import Mapping, Time, Unit, load_mapping
from producers.load.sources.times import epoch_ms
from producers.load.transforms.filters import Filters
from producers.load.transforms.partitions import Partitions
from producers.load.transforms.replaying import Changes
from producers.load.transforms.timestamps import Timestamps
from schemas.errors import BadInputError
from schemas.events import SECTORS

ReplayedArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A capture, a .parquet, .csv or .jsonl file; with --from, a topic.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="HOST:PORT", help="Cluster that SOURCE is a topic of.")
]
TimeColumnOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a file that has the time.")]
TimeUnitOption = Annotated[str | None, typer.Option(metavar="s|ms|us|ns", help="What its numbers count since 1970.")]
TimeFormatOption = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="How its text is written: %d/%m/%Y %H:%M.")
]
TimeZoneOption = Annotated[str | None, typer.Option(metavar="ZONE", help="Where it was read, if it tells no offset.")]
KeyColumnOption = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a file that has the key.")]
ValueColumnOption = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column that has the value; the whole row as JSON if left out.")
]
MappingOption = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="More about the columns of a file, instead of these options.")
]
ReplaySpeedOption = Annotated[
    str | None, typer.Option("--speed", metavar="X|max", help="Times as fast as it was; 1 if left out.")
]
ReplayRateOption = Annotated[
    float | None, typer.Option("--rate", metavar="N", help="Records a second, instead of a speed.")
]
TimestampsOption = Annotated[
    str | None,
    typer.Option(metavar="keep|shift|now", help="As they are (usual); moved so that the first is now; when sent."),
]
RewriteOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD,…", help="Fields of JSON values, epoch ms, that move with the timestamps: occurred_at."
    ),
]
PartitionsOption = Annotated[str, typer.Option(metavar="keep|by-key", help="Each record's own, or that of its key.")]
LoopOption = Annotated[
    str, typer.Option(metavar="N|forever", help="How many times; our payments are of a run NAME~2, NAME~3, … then.")
]
VerbatimOption = Annotated[bool, typer.Option("--verbatim", help="Loops repeat the very same records.")]
FromTimeOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only from this time on; ISO 8601 or epoch ms.")
]
ToTimeOption = Annotated[str | None, typer.Option(metavar="TIME", help="Only before this time.")]
KeyFilterOption = Annotated[list[str] | None, typer.Option("--key", help="Only records of this key; repeatable.")]
CommuneOption = Annotated[
    list[str] | None, typer.Option("--commune", help="Only payments of this commune; repeatable.")
]
SectorOption = Annotated[list[str] | None, typer.Option("--sector", help="Only payments of this sector; repeatable.")]
TopicFilterOption = Annotated[
    list[str] | None, typer.Option("--topic", help="Only records that were on this topic; repeatable.")
]
SortBufferOption = Annotated[
    int, typer.Option(min=0, metavar="N", help="Records held back to sort what is out of order, where a speed is kept.")
]

Choice = TypeVar("Choice", bound=str)
FOREVER: Final = "forever"
MAX: Final = "max"


@dataclass(frozen=True)
class Pace:
    """How fast: one of the two, or neither, which is as fast as it goes."""

    speed: float | None = None
    rate: float | None = None

    @property
    def kind(self) -> Literal["rate", "speed", "max"]:
        """What sets the pace."""
        return "rate" if self.rate is not None else "max" if self.speed is None else "speed"

    def in_words(self) -> str:
        """Return the pace, for people."""
        if self.rate is not None:
            return f"{self.rate:,.10g}/s"
        return "as fast as it goes" if self.speed is None else f"×{self.speed:g}"


def pace_of(speed: str | None, rate: float | None) -> Pace:
    """Return the pace of ``--speed`` and ``--rate``.

    Raises:
        BadInputError: if both are given, or one is not above 0.
    """
    if rate is not None:
        if speed is not None:
            raise BadInputError("arguments", f"--speed {speed} and --rate {rate:g}", "give one of them")
        if not 0 < rate < float("inf"):
            raise BadInputError("arguments", f"--rate {rate:g}", "give a number above 0")
        return Pace(rate=rate)
    if speed == MAX:
        return Pace()
    try:
        times = float(speed or 1)
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise BadInputError("arguments", f"--speed {speed}", "give a number above 0, or max")
    return Pace(speed=times)


def mapping_of(
    file: Path | None,
    *,
    time_column: str | None,
    time_unit: str | None,
    time_format: str | None,
    time_zone: str | None,
    key_column: str | None,
    value_column: str | None,
) -> Mapping | None:
    """Return the mapping of a file's columns, from a file of its own or from options; None if neither says anything.

    Raises:
        BadInputError: if both do, or what is said is wrong.
    """
    options = {
        "--time-column": time_column,
        "--time-unit": time_unit,
        "--time-format": time_format,
        "--time-zone": time_zone,
        "--key-column": key_column,
        "--value-column": value_column,
    }
    given = [f"{option} {value}" for option, value in options.items() if value is not None]
    if file is not None:
        if given:
            raise BadInputError("arguments", f"--mapping and {given[0]}", "say it in the file")
        return load_mapping(file)
    if not given:
        return None
    if time_column is None:
        about = [one for one in given if one.startswith("--time")]
        if about:
            raise BadInputError("arguments", f"{about[0]} without --time-column", "say which column it is about")
        return Mapping(key=key_column, value=value_column)
    unit = None if time_unit is None else _one_of("--time-unit", time_unit, get_args(Unit))
    try:
        time = Time.model_validate({"column": time_column, "unit": unit, "format": time_format, "zone": time_zone})
    except ValueError:
        fix = "give a name such as Asia/Ho_Chi_Minh or UTC"
        raise BadInputError("arguments", f"--time-zone {time_zone!r}", fix) from None
    return Mapping(time=time, key=key_column, value=value_column)


def changes_of(
    *,
    pace: Pace,
    timed: bool,
    timestamps: str | None,
    rewrite: Sequence[str],
    partitions: str,
    loop: str,
    verbatim: bool,
    sort_buffer: int,
    filters: Filters,
) -> Changes:
    """Return what is to become of a source.

    Raises:
        BadInputError: if an option is wrong, does not go with another one, or needs times that the source has not.
    """
    mode: Timestamps = _one_of("--timestamps", timestamps or ("keep" if timed else "now"), get_args(Timestamps))
    if not timed and pace.speed is not None:
        fix = "name its time with --time-column, or give --rate N or --speed max"
        raise BadInputError("arguments", f"a source without times, and {pace.in_words()}", fix)
    if not timed and mode != "now":
        fix = "name its time with --time-column, or give --timestamps now"
        raise BadInputError("arguments", f"a source without times, and --timestamps {mode}", fix)
    if not timed and (filters.from_time is not None or filters.to_time is not None):
        found = "a source without times, and --from-time or --to-time"
        raise BadInputError("arguments", found, "name its time with --time-column")
    fields = tuple(_listed(rewrite))
    if fields and mode == "keep":
        fix = "give --timestamps shift or now, or leave --rewrite out"
        raise BadInputError("arguments", f"--rewrite {','.join(fields)} with --timestamps keep", fix)
    if fields and not timed:
        found = f"a source without times, and --rewrite {','.join(fields)}"
        raise BadInputError("arguments", found, "name its time with --time-column: fields move by as much as it does")
    return Changes(
        filters=filters,
        buffer=None if pace.speed is None else sort_buffer,
        loops=_loops(loop),
        verbatim=verbatim,
        timestamps=mode,
        fields=fields,
        partitions=_one_of("--partitions", partitions, get_args(Partitions)),
    )


def filters_of(
    *,
    from_time: str | None,
    to_time: str | None,
    keys: Sequence[str],
    communes: Sequence[str],
    sectors: Sequence[str],
    topics: Sequence[str],
) -> Filters:
    """Return which records are sent.

    Raises:
        BadInputError: if a time is none, nothing lies between the two, or there is no such sector.
    """
    begin, end = _time(from_time, "--from-time"), _time(to_time, "--to-time")
    if begin is not None and end is not None and begin >= end:
        found = f"--from-time {from_time} is not before --to-time {to_time}"
        raise BadInputError("arguments", found, "give a time before the other")
    return Filters(
        from_time=begin,
        to_time=end,
        keys=tuple(keys),
        communes=tuple(_listed(communes)),
        sectors=tuple(_one_of("--sector", sector, SECTORS) for sector in _listed(sectors)),
        topics=tuple(_listed(topics)),
    )


def _time(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    at: int | None = epoch_ms(pl.Series([text]), Time(column=option))[0]
    if at is None:
        raise BadInputError("arguments", f"{option} {text!r}", "give ISO 8601 with an offset, or epoch milliseconds")
    return at


def _listed(values: Sequence[str]) -> list[str]:
    """Return values that were given one by one, or with commas between them."""
    return [one.strip() for value in values for one in value.split(",") if one.strip()]


def _loops(text: str) -> int | None:
    if text == FOREVER:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise BadInputError("arguments", f"--loop {text}", f"give a number from 1 on, or {FOREVER}")
    return int(text)


def _one_of(option: str, value: str, known: tuple[Choice, ...]) -> Choice:
    for one in known:
        if one == value:
            return one
    raise BadInputError("arguments", f"{option} {value!r}", f"give one of {', '.join(map(str, known))}")
