"""What was ordered of a run and what became of it, as one document: ``quetma interventions list RUN --json``.

In: the text of the document. Out: `RunInterventions`, and the rows that a shard's scenario has with it.
With the scenario, the seed and this document anybody makes the same payments again.
"""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from typing import Any, Literal, Self

from pydantic import ValidationError

from schemas.errors import BadInputError
from schemas.orders import Shard
from schemas.scenario.actions import AnyAction, said_of
from schemas.scenario.figures import Part, PlaceId
from schemas.scenario.interventions import Intervention

_FIX = "give what `quetma interventions list RUN --json` prints, or the same as TOML or as JSON lines"


State = Literal["waiting", "done", "refused", "differs"]
"""No producer has decided; all that have did the same, or refused; producers differ, in the day or at all."""


class Outcome(Part):
    """What one producer made of an order."""

    shard: Shard
    from_day: dt.date | None = None
    """First simulated day made with it, local; none if it was refused."""
    intervention: Intervention | None = None
    """The row that the scenario has with it; none if it was refused."""
    refused: str | None = None
    """Why not."""


class OrderedIntervention(Part):
    """One intervention of a run."""

    id: PlaceId
    ordered_at: int | None = None
    """UTC epoch milliseconds."""
    start: dt.date | None = None
    """The first day that was asked for; none: as soon as possible."""
    order: AnyAction | None = None
    """What was asked for."""
    outcomes: tuple[Outcome, ...] = ()
    """Of the producers that have decided, by shard."""
    state: State | None = None
    """What became of it in a word; it follows from the outcomes."""

    @property
    def differs(self) -> bool:
        """Whether producers made different things of it."""
        return len({(one.intervention, one.from_day) for one in self.outcomes}) > 1

    def with_state(self) -> Self:
        """Return the same with its state."""
        state: State = "differs"
        if not self.outcomes:
            state = "waiting"
        elif not self.differs:
            state = "refused" if self.outcomes[0].intervention is None else "done"
        return self.model_copy(update={"state": state})

    def row(self, shard: str) -> Intervention | None:
        """Return the row that the scenario of a shard has with it; None if it has none.

        Raises:
            BadInputError: if a run that was cut otherwise does not say.
        """
        counts = {one.shard.partition("/")[2] for one in self.outcomes}
        if not counts or counts == {shard.partition("/")[2]}:
            return next((one.intervention for one in self.outcomes if one.shard == shard), None)
        missing = {f"{i}/{n}" for n in counts for i in range(1, int(n) + 1)} - {one.shard for one in self.outcomes}
        if missing or self.differs:
            said = [f"{one.shard}: {one.from_day or 'refused'}" for one in self.outcomes]
            said += [f"{one}: not decided" for one in sorted(missing)]
            found = f"{self.id} begins not everywhere on one day: {', '.join(said)}"
            fix = f"give --shard I/{'/'.join(sorted(counts))}, one after the other"
            raise BadInputError("interventions", found, fix)
        return self.outcomes[0].intervention


class RunInterventions(Part):
    """All interventions that were ordered of a run."""

    run: str | None = None
    scenario: str | None = None
    scenario_hash: str | None = None
    """Of the scenario without them."""
    seed: int | None = None
    interventions: tuple[OrderedIntervention, ...] = ()

    def rows(self, shard: str) -> tuple[Intervention, ...]:
        """Return what the scenario of a shard ``I/N`` has more; errors as in `OrderedIntervention.row`."""
        rows = (one.row(shard) for one in self.interventions)
        return tuple(row for row in rows if row is not None)


def parse_run_interventions(text: str, name: str) -> RunInterventions:
    """Parse a document by the end of its file's name: ``.toml``, ``.jsonl`` (an intervention a line), else JSON.

    Raises:
        BadInputError: if it is none, with place and value.
    """
    try:
        return RunInterventions.model_validate_json(json.dumps(_document(text, name), default=str))
    except ValidationError as error:
        raise BadInputError("interventions", f"{name}: {said_of(error)}", _FIX) from None
    except ValueError as error:  # of both parsers
        raise BadInputError("interventions", f"{name}: {error}", _FIX) from None


def _document(text: str, name: str) -> Any:
    if name.endswith(".toml"):
        return tomllib.loads(text)
    if name.endswith(".jsonl"):
        return {"interventions": [json.loads(line) for line in text.splitlines() if line.strip()]}
    return json.loads(text)
