"""Load profiles: how many records a second are asked for, from the beginning of a load to its end.

In: a TOML file, or the name of a built-in profile with its rate and its length. Out: `Profile`.

    phases = ["0–60s: 1k→20k/s", "60–120s: 20k/s"]

or, the same in a table for each phase:

    [[phases]]
    for = "60s"
    from = "1k"
    to = "20k"
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import BadInputError

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIMES: Final = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_TIME: Final = re.compile(rf"({_NUMBER})\s*(ms|s|m|h)?").fullmatch
_RATE: Final = re.compile(rf"({_NUMBER})\s*([kKM]?)").fullmatch
_PHASE: Final = re.compile(
    rf"\s*(?P<begin>{_NUMBER})\s*(?P<begin_unit>ms|s|m|h)?\s*[–—-]\s*(?P<end>{_NUMBER}\s*)(?P<end_unit>ms|s|m|h)\s*:"
    rf"\s*(?P<low>{_NUMBER}\s*[kKM]?)\s*(?:(?:→|->)\s*(?P<high>{_NUMBER}\s*[kKM]?))?\s*/\s*s\s*"
).fullmatch
PHASE_HELP: Final = "write a phase as '0–60s: 1k→20k/s' or '60–120s: 20k/s'"
DEFAULT_SECONDS: Final = 60.0
SOAK_SECONDS: Final = 3600.0


def rate_of(text: str) -> float:
    """Parse a rate such as ``500``, ``1k`` or ``0.5M``, a second.

    Raises:
        ValueError: if it is none.
    """
    found = _RATE(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no rate: write it as 500, 1k or 0.5M")
    return float(found[1]) * _TIMES[found[2]]


def time_of(text: str) -> float:
    """Parse a time such as ``90``, ``30s``, ``5m`` or ``1h``, in seconds.

    Raises:
        ValueError: if it is none.
    """
    found = _TIME(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time: write it as 90, 30s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def _or_number(parse: Callable[[str], float]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Rate = Annotated[float, _or_number(rate_of), Field(ge=0, allow_inf_nan=False)]
Time = Annotated[float, _or_number(time_of), Field(gt=0)]


class Phase(BaseModel):
    """Some time in which the rate goes from one to another in a straight line."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    seconds: Time = Field(validation_alias="for")
    """Infinite for a last phase without end."""
    begin: Rate = Field(validation_alias="from")
    """Records a second."""
    end: Rate = Field(validation_alias="to")

    @model_validator(mode="before")
    @classmethod
    def _constant(cls, value: Any) -> Any:
        """Take ``rate`` for a phase in which it stays."""
        if isinstance(value, dict) and "rate" in value:
            if {"from", "to"} & set(value):
                raise ValueError(
                    "'rate' is for a rate that stays, 'from' and 'to' for one that moves: give one of them"
                )
            rest = {name: one for name, one in value.items() if name != "rate"}
            return {**rest, "from": value["rate"], "to": value["rate"]}
        return value

    @property
    def records(self) -> float:
        """How many records it asks for."""
        return self.seconds * (self.begin + self.end) / 2 if self.begin + self.end else 0.0


class Profile(BaseModel):
    """Phases, one behind the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phases: tuple[Phase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        for place, phase in enumerate(self.phases, 1):
            if math.isinf(phase.seconds) and (place < len(self.phases) or phase.begin != phase.end):
                raise ValueError(f"phase {place} has no end: only the last one may, and its rate must stay")
        if not self.records:
            raise ValueError("no phase asks for a record: give a rate above 0")
        return self

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def records(self) -> float:
        """How many records it asks for in all."""
        return sum(phase.records for phase in self.phases)


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        BadInputError: if it cannot be read, with the phase that is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError("profile", f"{path}: {error}", f"give a TOML file with phases; {PHASE_HELP}") from None
    return parse_profile(document, str(path))


def parse_profile(document: dict[str, Any], name: str) -> Profile:
    """Parse what a profile's file says.

    Raises:
        BadInputError: naming the phase, what it says, and what is allowed.
    """
    phases = document.get("phases")
    if not isinstance(phases, list) or not phases:
        raise BadInputError("profile", f"{name}: no phases", f"give phases = [ … ]; {PHASE_HELP}")
    try:
        tables = _tables(phases, name)
        return Profile.model_validate({**document, "phases": tables})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInputError("profile", f"{name}: {_place(first, phases)}{first['msg']}", PHASE_HELP) from None


def _tables(phases: Sequence[Any], name: str) -> list[Any]:
    """Return phases as tables; a phase as text must begin where the one before ends."""
    tables, ended = list[Any](), 0.0
    for number, phase in enumerate(phases, 1):
        where = f"{name}: phase {number}, {phase!r}"
        if not isinstance(phase, str):
            if any(isinstance(one, str) for one in phases):
                raise BadInputError("profile", f"{where}, is no text as others are", "write all phases alike")
            tables.append(phase)
            continue
        begin, table = _parsed(phase, where)
        if not math.isclose(begin, ended, abs_tol=1e-9):
            found = f"{where}, begins at {begin:g} s, and what is before it ends at {ended:g} s"
            raise BadInputError("profile", found, "let each phase begin where the one before ends, the first at 0")
        ended += table["for"]
        tables.append(table)
    return tables


def _parsed(text: str, where: str) -> tuple[float, dict[str, float]]:
    """Return where a phase begins, and it as a table."""
    found = _PHASE(text)
    if found is None:
        raise BadInputError("profile", f"{where}, cannot be read", PHASE_HELP)
    unit = found["end_unit"]
    end = time_of(found["end"].strip() + unit)
    begin = time_of(found["begin"] + (found["begin_unit"] or unit))
    if end <= begin:
        raise BadInputError("profile", f"{where}, ends before it begins", PHASE_HELP)
    low = rate_of(found["low"])
    return begin, {"for": end - begin, "from": low, "to": rate_of(found["high"]) if found["high"] else low}


def _place(error: Any, phases: Sequence[Any]) -> str:
    """Return which phase an error is in, as people count."""
    match error["loc"]:
        case ("phases", int(number), *field):
            inside = f", {'.'.join(map(str, field))}" if field else ""
            return f"phase {number + 1}, {phases[number]!r}{inside}: "
        case loc:
            return f"{'.'.join(map(str, loc))}: " if loc else ""


def _steady(rate: float, seconds: float) -> list[tuple[float, float, float]]:
    return [(seconds, rate, rate)]


def _ramp(rate: float, seconds: float) -> list[tuple[float, float, float]]:
    return [(seconds, 0.0, rate)]


def _spike(rate: float, seconds: float) -> list[tuple[float, float, float]]:
    usual = rate / 10
    return [(seconds * 0.4, usual, usual), (seconds * 0.2, rate, rate), (seconds * 0.4, usual, usual)]


def _step(rate: float, seconds: float) -> list[tuple[float, float, float]]:
    return [(seconds / 5, rate * step / 5, rate * step / 5) for step in range(1, 6)]


def _soak(rate: float, seconds: float) -> list[tuple[float, float, float]]:
    return [(seconds * 0.05, 0.0, rate), (seconds * 0.95, rate, rate)]


BUILT_IN: Final = {
    "steady": (_steady, DEFAULT_SECONDS, "the rate, all the time"),
    "ramp": (_ramp, DEFAULT_SECONDS, "from 0 to the rate in a straight line"),
    "spike": (_spike, DEFAULT_SECONDS, "a tenth of the rate, all of it for a fifth of the time, a tenth again"),
    "step": (_step, DEFAULT_SECONDS, "a fifth of the rate more at each of five steps"),
    "soak": (_soak, SOAK_SECONDS, "up to the rate in a twentieth of the time, then the rate; an hour if not told"),
}
"""Profiles by name: (rate, seconds) to phases, how long where nothing is said, and what it is."""


def built_in(name: str, rate: float, seconds: float | None = None) -> Profile:
    """Return a built-in profile.

    Args:
        name: one of `BUILT_IN`.
        rate: its highest, records a second.
        seconds: its length; its own if None.

    Raises:
        BadInputError: if there is none of this name, or no rate.
    """
    if name not in BUILT_IN:
        raise BadInputError("profile", f"no profile {name!r}", f"give a .toml file or one of {', '.join(BUILT_IN)}")
    if not 0 < rate < math.inf:
        raise BadInputError("profile", f"--rate {rate:g}", "give records a second, above 0")
    phases, usual, _ = BUILT_IN[name]
    shape = phases(rate, usual if seconds is None else seconds)
    return Profile(phases=tuple(Phase(seconds=length, begin=low, end=high) for length, low, high in shape))


def constant(rate: float) -> Profile:
    """Return one rate without end."""
    return Profile(phases=(Phase(seconds=math.inf, begin=rate, end=rate),))
