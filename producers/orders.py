"""The orders to one shard of a run: what is still to be done, and what was done from which day on.

In: records of ``quetma.interventions``, and the days that begin to be made. Out: what is decided for each of them, as
`InterventionApplied`, and the world with it. The event loop reads, the thread that makes the days decides.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from producers.live_pace import WantedPace
from producers.plan import Plan
from producers.simulation.calendar import Day
from producers.simulation.world import World, with_more
from schemas.errors import BadInputError
from schemas.events import SCHEMA_VERSION
from schemas.orders import InterventionApplied, InterventionOrder, PaceOrder, RunPosition
from schemas.scenario.actions import intervention_of, said_of
from schemas.scenario.figures import PlaceId
from schemas.scenario.interventions import Intervention
from schemas.types import Contract

log = logging.getLogger("quetma.orders")

_MODELS: Final[Mapping[str, type[Contract]]] = {
    "intervention": InterventionOrder,
    "pace": PaceOrder,
    "applied": InterventionApplied,
    "begun": RunPosition,
}
_ID: Final[TypeAdapter[str]] = TypeAdapter(PlaceId)


@dataclass(frozen=True)
class Decided:
    """What is decided when a day begins to be made."""

    applied: tuple[InterventionApplied, ...] = ()
    """To be acknowledged before anything of the day is sent."""
    changes: bool = False
    """Whether the world is another from this day on."""


class Orders:
    """Keeps the orders of one shard of a run."""

    def __init__(self, plan: Plan, now: Callable[[], int]) -> None:
        """Take the plan of a run as its scenario alone has it, and a clock, UTC epoch milliseconds."""
        self._plan, self._now = plan, now
        self._lock = threading.Lock()
        self._waiting: dict[str, InterventionOrder | str] = {}
        """Orders, or why one cannot be read, by id."""
        self._decided: set[str] = set()
        self._rows: list[Intervention] = []
        self._making = False
        self.world: World = plan.world
        """With all that has been decided."""
        self.begun: Day | None = None
        """Up to this day something may have been sent by a process before."""
        self.wanted = WantedPace()
        self.unreadable = 0
        """Records of the topic that are none, or of no run that can be told."""

    def read(self, value: bytes | None) -> None:
        """Take note of a record; what is wrong with it is logged and harms nobody."""
        if value is None:
            return
        document = _document(value)
        if document.get("run") == self._plan.run:
            self._read_ours(value, document)
        elif "run" not in document:
            self._count_unreadable("it names no run")

    def _read_ours(self, value: bytes, document: Mapping[str, Any]) -> None:
        model = _MODELS.get(str(document.get("kind")))
        if model is None:
            self._count_unreadable(f"kind {document.get('kind')!r} is none of {', '.join(_MODELS)}")
            return
        try:
            self._note(model.model_validate_json(value))
        except ValidationError as error:
            id_ = document.get("id")
            if model is InterventionOrder and _is_id(id_):
                self._wait(str(id_), said_of(error))
            else:
                self._count_unreadable(said_of(error))

    def _note(self, record: Contract) -> None:
        match record:
            case InterventionOrder():
                self._wait(record.id, record)
            case PaceOrder(paused=None, speed=speed):
                self.wanted = replace(self.wanted, speed=speed)
            case PaceOrder(paused=paused):
                self.wanted = replace(self.wanted, paused=bool(paused))
            case InterventionApplied(shard=self._plan.shard):
                self._note_applied(record)
            case RunPosition(shard=self._plan.shard, day=day) if not self._making:
                self.begun = Day.of(day)

    def _wait(self, id_: str, order: InterventionOrder | str) -> None:
        with self._lock:
            if id_ not in self._decided:
                self._waiting[id_] = order

    def _note_applied(self, record: InterventionApplied) -> None:
        """Take over what a process before has decided."""
        with self._lock:
            if record.id in self._decided:
                return
            if self._making:
                log.warning("%s of run %s was decided by another process of shard %s", record.id, *_who(self._plan))
                return
            self._waiting.pop(record.id, None)
            self._decided.add(record.id)
            if record.intervention is not None:
                self._rows.append(record.intervention)
                self.world = with_more(self._plan.world, self._rows)

    def decide(self, day: Day) -> Decided:
        """Decide on all that waits, as a day begins to be made; nothing on days of which something may be sent."""
        with self._lock:
            self._making = True
            if self.begun is not None and day.number <= self.begun.number:
                return Decided()
            waiting, self._waiting = self._waiting, {}
            before = self.world
            applied = tuple(self._decide(id_, order, day) for id_, order in waiting.items())
            return Decided(applied, self.world is not before)

    def _decide(self, id_: str, order: InterventionOrder | str, day: Day) -> InterventionApplied:
        self._decided.add(id_)
        if isinstance(order, str):
            return self._applied(id_, refused=order)
        first = day.date if order.start is None else max(order.start, day.date)
        try:
            row = intervention_of(order.intervention, id_, first)
            self.world = with_more(self._plan.world, [*self._rows, row])
        except BadInputError as error:
            return self._applied(id_, refused=error.found)
        self._rows.append(row)
        return self._applied(id_, from_day=first, intervention=row)

    def _applied(self, id_: str, **more: Any) -> InterventionApplied:
        plan = self._plan
        return InterventionApplied(
            schema_version=SCHEMA_VERSION, run=plan.run, id=id_, shard=plan.shard, applied_at=self._now(), **more
        )

    def _count_unreadable(self, why: str) -> None:
        self.unreadable += 1
        log.warning("a record of quetma.interventions is passed over: %s", why)


def _document(value: bytes) -> dict[str, Any]:
    try:
        document = json.loads(value)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _is_id(value: object) -> bool:
    try:
        _ID.validate_python(value)
    except ValidationError:
        return False
    return True


def _who(plan: Plan) -> tuple[str, str]:
    return plan.run, plan.shard
