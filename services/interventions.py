"""A hand on running scenarios: orders sent, and what became of them.

In: a broker, a run, what is to be done. Out: records on ``quetma.interventions``; `RunInterventions`.
The producers of the run check everything once more, and say what they did: they alone know the scenario.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.errors import BadInputError, UnreachableError
from schemas.events import SCHEMA_VERSION, Cell, RunStarted, encode
from schemas.orders import InterventionApplied, InterventionOrder, PaceOrder, key_of
from schemas.run_interventions import OrderedIntervention, Outcome, RunInterventions
from schemas.scenario.actions import Action, said_of
from schemas.topics import CELLS, INTERVENTIONS, LEDGER
from services.topic_reader import read_all

_MOST_NAMED: Final = 12
"""So many names an error lists at most."""


@dataclass(frozen=True)
class Run:
    """What the broker knows of a run."""

    started: RunStarted
    places: frozenset[str]
    """The province, its communes and its markets."""
    interventions: RunInterventions
    speed: PaceOrder | None = None
    """The last order of a speed."""
    paused: PaceOrder | None = None
    """The last order to stand still or to go on."""

    def document(self) -> dict[str, Any]:
        """Return what `quetma interventions list --json` prints."""
        document: dict[str, Any] = self.interventions.model_dump(mode="json", exclude_none=True)
        return document


@dataclass
class _Found:
    """The records of a run."""

    started: RunStarted | None = None
    cells: list[Cell] = field(default_factory=list)
    orders: dict[str, InterventionOrder] = field(default_factory=dict)
    outcomes: dict[str, dict[str, InterventionApplied]] = field(default_factory=lambda: defaultdict(dict))
    speed: PaceOrder | None = None
    paused: PaceOrder | None = None


async def run_of(servers: str, run: str) -> Run:
    """Read what the broker knows of a run.

    Raises:
        BadInputError: if it knows no such run; the ones that it knows are named.
    """
    found, runs = _Found(), set[str]()
    begin = f"{run}|".encode()
    async for record in read_all(servers, (CELLS, LEDGER, INTERVENTIONS)):
        key, value = record.key or b"", record.value
        if record.topic == LEDGER and b"|" not in key and value is not None:
            runs.add(key.decode())
            if key.decode() == run:
                found.started = RunStarted.model_validate_json(value)
        elif record.topic != LEDGER and key.startswith(begin) and value is not None:
            _note(found, record.topic, value)
    if found.started is None:
        raise BadInputError("run", f"no run {run!r}", f"give one of {_names(runs)}" if runs else "start one first")
    places = {place for cell in found.cells for place in _places(cell)}
    return Run(found.started, frozenset(places), _interventions(found), found.speed, found.paused)


def _note(found: _Found, topic: str, value: bytes) -> None:
    if topic == CELLS:
        found.cells.append(Cell.model_validate_json(value))
        return
    for model in (InterventionOrder, InterventionApplied, PaceOrder):
        try:
            record = model.model_validate_json(value)
        except ValidationError:
            continue  # of another kind; what is of none is for producers to complain of
        match record:
            case InterventionOrder():
                found.orders[record.id] = record
            case InterventionApplied():
                found.outcomes[record.id][record.shard] = record
            case PaceOrder(paused=None):
                found.speed = record
            case PaceOrder():
                found.paused = record
        return


def _places(cell: Cell) -> list[str]:
    return [cell.province, cell.commune, *([cell.cell] if cell.kind == "market" else [])]


def _interventions(found: _Found) -> RunInterventions:
    started = found.started
    assert started is not None
    rows = [_row(id_, found.orders.get(id_), found.outcomes[id_]) for id_ in {**found.orders, **found.outcomes}]
    return RunInterventions(
        run=started.run,
        scenario=started.scenario,
        scenario_hash=started.scenario_hash,
        seed=started.seed,
        interventions=tuple(sorted(rows, key=lambda row: (row.ordered_at or 0, row.id))),
    )


def _row(id_: str, order: InterventionOrder | None, outcomes: Mapping[str, InterventionApplied]) -> OrderedIntervention:
    by_shard = sorted(outcomes.values(), key=lambda one: [int(part) for part in one.shard.split("/")])
    names = ("shard", "from_day", "intervention", "refused")
    return OrderedIntervention(
        id=id_,
        ordered_at=order.ordered_at if order else None,
        start=order.start if order else None,
        order=order.intervention if order else None,
        outcomes=tuple(Outcome(**{name: getattr(one, name) for name in names}) for one in by_shard),
    ).with_state()


async def order_intervention(
    servers: str, run: str, action: Action, *, id_: str | None = None, start: dt.date | None = None
) -> InterventionOrder:
    """Order an intervention.

    Args:
        servers: the broker.
        run: name of a run that it knows.
        action: what is to be done.
        id_: its name within the run; made up if None.
        start: first simulated day; as soon as possible if None.

    Raises:
        BadInputError: if there is no such run or place, or the name is taken or not allowed.
        UnreachableError: if the broker does not take it.
    """
    known = await run_of(servers, run)
    _check_places(known, action.place)
    if id_ is not None and id_ in {row.id for row in known.interventions.interventions}:
        raise BadInputError("id", f"run {run} has an intervention {id_!r}", "give another, or none: one is made up")
    name = id_ or f"{action.kind.replace('_', '-')}-{uuid.uuid4().hex[:8]}"
    common = {"schema_version": SCHEMA_VERSION, "run": run, "id": name, "ordered_at": _now()}
    try:
        order = InterventionOrder.model_validate({**common, "start": start, "intervention": action})
    except ValidationError as error:
        raise BadInputError("order", said_of(error), "give a slug such as outage-1, and a day before 2099") from None
    await _send(servers, order)
    return order


async def order_pace(
    servers: str, run: str, *, speed: float | str | None = None, paused: bool | None = None
) -> PaceOrder:
    """Order a run to go at a speed, to stand still, or to go on.

    Args:
        servers: the broker.
        run: name of a run that it knows.
        speed: simulated seconds per second, above 0, or ``max``.
        paused: whether it stands still; instead of a speed.

    Raises:
        BadInputError: if there is no such run, or the speed is none.
        UnreachableError: if the broker does not take it.
    """
    await run_of(servers, run)
    common = {"schema_version": SCHEMA_VERSION, "run": run, "id": f"pace-{uuid.uuid4().hex[:8]}", "ordered_at": _now()}
    try:
        order = PaceOrder.model_validate({**common, "speed": speed, "paused": paused})
    except ValidationError:
        found = f"speed {speed!r}, paused {paused!r}"
        raise BadInputError("pace", found, "give a speed above 0 or max, or paused true or false") from None
    await _send(servers, order)
    return order


def _check_places(run: Run, places: Sequence[str]) -> None:
    for place in places:
        if place not in run.places:
            near = get_close_matches(place, run.places, _MOST_NAMED, cutoff=0.5)
            found = f"{place!r} is no commune or market of run {run.started.run}"
            raise BadInputError("place", found, f"give one of {_names(near or run.places)}, or none: all of them")


def _names(names: Any) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more


async def _send(servers: str, order: InterventionOrder | PaceOrder) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers.split(","), acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(
            INTERVENTIONS, encode(order), key_of(order).encode(), partition=0, timestamp_ms=order.ordered_at
        )
    except KafkaError as error:
        raise UnreachableError("order", f"{servers} does not take it: {error!r}", "see the broker's log") from None
    finally:
        await producer.stop()


def _now() -> int:
    return time.time_ns() // 1_000_000
