"""What can be done to a scenario while it runs: its own interventions, with plain figures and without dates.

In: a kind and the figures that are to differ from the usual ones. Out: an `Action`; a day makes an intervention of it.
The models are derived from the rows of `schemas.scenario.interventions`: same keys, same ranges. What an action does
not say is taken from `USUAL`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, create_model
from pydantic.fields import FieldInfo

from schemas.errors import BadInputError
from schemas.scenario.errors import wording
from schemas.scenario.figures import Part, PlaceId, Sourced
from schemas.scenario.interventions import Intervention, LunarMarketDays, Outage, Tet

ORDERED: Final = "assumed: ordered during the run"
"""Where the figures of an action come from."""
_ROWS: Final[tuple[type[Part], ...]] = get_args(get_args(Intervention)[0])
_GIVEN_BY_THE_ORDER: Final = ("id", "source", "start", "end", "on")

USUAL: Final[Mapping[str, Mapping[str, Any]]] = {
    # of An Giang's teams in one commune; a week's visits are seen, those of a day are hardly
    "digital_team": {"for_days": 30, "members": 90, "visits_per_member_day": 1.0, "effect": 0.64, "delay_days": 30.0},
    "stall_stands": {"for_days": 30, "make_share": 0.7, "use_share": 0.5, "delay_days": 14.0},  # an-giang.toml
    "promotion": {"for_days": 15, "people": 0.1, "stalls": 0.1},  # hung-yen.toml
    "pensions_to_accounts": {"for_days": 365, "share": 0.2},  # bac-giang.toml
    "cash_shock": {"for_days": 8, "choice": 0.3, "hazard": 1.2},  # hung-yen.toml
    "scam_warning": {"for_days": 30, "hazard": 0.9, "fraud": 0.3},  # an-giang.toml
    "fraud_wave": {"for_days": 14, "stalls": 0.02},  # an-giang.toml
    "outage": {"at": dt.time(9), "for_hours": 1.0, "scope": "switch", "then": "cash", "retry_after_seconds": 1800.0},
    "tet": {"factor": 1.3, "days_before": 14, "holiday_factor": 0.3, "holiday_days": 4},  # vietnam.toml
    "lunar_market_days": {"for_days": 365, "days": (2, 7, 12, 17, 22, 27), "factor": 1.4},  # an-giang.toml
}
"""What an action of each kind has unless it says otherwise: figures of the scenarios that come with Quetma."""


class Action(Part):
    """An intervention without dates and sources."""

    kind: str
    """One of the kinds of interventions."""
    place: tuple[PlaceId, ...] = ()
    """Communes and markets it reaches; the whole province if none is named."""


class _Derived(Action):
    """Has its descriptions from a row; Pydantic would look for the source of a model that has none for milliseconds."""

    model_config = ConfigDict(use_attribute_docstrings=False)


def _without_offset(time: dt.time) -> dt.time:
    if time.tzinfo:
        raise ValueError("give a local time, without an offset")
    return time


_ForDays = Annotated[int, Field(strict=True, ge=1, le=3660, json_schema_extra={"unit": "days"})]
_LocalTime = Annotated[
    dt.time,
    AfterValidator(_without_offset),
    # JSON Schema's "time" asks for an offset.
    WithJsonSchema({"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}),
]
_ForHours = Annotated[float, Field(strict=True, gt=0, le=8784, json_schema_extra={"unit": "h"})]


def _action_of(row: type[Part]) -> type[Action]:
    """Derive the action of a kind of rows."""
    (kind,) = get_args(row.model_fields["kind"].annotation)
    usual = USUAL[kind]
    fields: dict[str, Any] = dict(_time_of(row, usual))
    for name, info in row.model_fields.items():
        if name == "kind":
            fields[name] = (info.annotation, info)
        elif name not in (*_GIVEN_BY_THE_ORDER, "place"):
            fields[name] = _plain(info, usual[name])
    return create_model(f"{row.__name__}Action", __base__=_Derived, __doc__=row.__doc__, **fields)


def _plain(info: FieldInfo, usual: Any) -> tuple[Any, Any]:
    """Return a field that takes a figure's value alone."""
    kind: Any = info.annotation
    value = kind.model_fields["value"] if _is_figure(kind) else info
    limited = Annotated[(value.annotation, *value.metadata)] if value.metadata else value.annotation
    return limited, Field(default=usual, description=info.description, json_schema_extra=value.json_schema_extra)


def _is_figure(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Sourced)


def _time_of(row: type[Part], usual: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that say how long an action lasts; Tết's days say it themselves."""
    if row is Outage:
        yield "at", (_LocalTime, Field(default=usual["at"], description="Local time of its begin on the first day."))
        yield "for_hours", (_ForHours, Field(default=usual["for_hours"], description="How long it lasts."))
    elif row is not Tet:
        yield "for_days", (_ForDays, Field(default=usual["for_days"], description="How many days it lasts."))


ACTIONS: Final[Mapping[str, type[Action]]] = {
    get_args(row.model_fields["kind"].annotation)[0]: _action_of(row) for row in _ROWS
}
"""The action of each kind."""

if TYPE_CHECKING:
    AnyAction = Action
else:
    AnyAction = Annotated[Union[tuple(ACTIONS.values())], Field(discriminator="kind")]  # noqa: UP007  # of a tuple

_ANY: Final[TypeAdapter[Action]] = TypeAdapter(AnyAction)
_ROW: Final[TypeAdapter[Intervention]] = TypeAdapter(Intervention)


def parse_action(values: Mapping[str, Any]) -> Action:
    """Make an action of plain values, as TOML or JSON have them.

    Raises:
        BadInputError: with everything that is wrong: key, value, what is allowed.
    """
    try:
        return _ANY.validate_python(values)
    except ValidationError as error:
        raise BadInputError("intervention", said_of(error), allowed(values.get("kind"))) from None


def said_of(error: ValidationError) -> str:
    """Return what is wrong with an action or a row, in one line."""
    lines = []
    for item in error.errors():
        loc = [str(step) for step in item["loc"] if step not in ACTIONS]
        lines.append(wording(dict(item), ".".join(loc)) if loc else wording(dict(item), "kind"))
    return "; ".join(lines)


def allowed(kind: object) -> str:
    """Return what may be given: the keys of a kind, or the kinds."""
    model = ACTIONS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return f"give a kind: {', '.join(ACTIONS)}"
    return f"{kind} takes {', '.join(name for name in model.model_fields if name != 'kind')}"


def intervention_of(action: Action, id_: str, first: dt.date) -> Intervention:
    """Return the scenario's row for an action that begins on a day.

    Args:
        action: what is done.
        id_: the row's id.
        first: local day of which payments are the first that may differ.

    Raises:
        BadInputError: if the row ends behind the calendar.
    """
    try:
        return _ROW.validate_python({"id": id_, "source": ORDERED, **_figures(action), **_dates(action, first)})
    except ValidationError as error:
        raise BadInputError("intervention", said_of(error), allowed(action.kind)) from None
    except OverflowError:
        raise BadInputError("intervention", f"{id_}: ends behind the year 9999", "let it begin earlier") from None


def _figures(action: Action) -> dict[str, Any]:
    """Return the keys of a row but its times, each figure with its source."""
    row = next(row for row in _ROWS if action.kind in get_args(row.model_fields["kind"].annotation))
    found: dict[str, Any] = {}
    for name, info in row.model_fields.items():
        if name not in _GIVEN_BY_THE_ORDER:
            value = getattr(action, name)
            found[name] = {"value": value, "source": ORDERED} if _is_figure(info.annotation) else value
    return found


def _dates(action: Action, first: dt.date) -> dict[str, Any]:
    values = action.model_dump()
    if action.kind == "outage":
        start = dt.datetime.combine(first, values["at"])
        return {"start": start, "end": start + dt.timedelta(hours=values["for_hours"])}
    if action.kind == "tet":
        return {"on": first + dt.timedelta(days=values["days_before"])}
    return {"start": first, "end": first + dt.timedelta(days=values["for_days"])}


def first_day(row: Intervention) -> dt.date | None:
    """Return the first local day of which payments a row may move; None if it has none."""
    if isinstance(row, Tet):
        return None if row.on is None else row.on - dt.timedelta(days=row.days_before.value)
    if isinstance(row, LunarMarketDays):
        return row.start
    return row.start.date() if isinstance(row, Outage) else row.start
