"""What was ordered of a run, as one document: read in each form, and the rows of each shard."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from schemas.errors import BadInputError
from schemas.run_interventions import OrderedIntervention, Outcome, RunInterventions, parse_run_interventions
from schemas.scenario.actions import intervention_of, parse_action
from services.toml_text import inline

DAY = dt.date(2025, 11, 20)
ACTION = parse_action({"kind": "outage", "place": ("tron",)})


def outcome(shard: str, more: int | None) -> Outcome:
    """Of a shard that does it so many days late; None: that refuses."""
    if more is None:
        return Outcome(shard=shard, refused="no such place")
    day = DAY + dt.timedelta(days=more)
    return Outcome(shard=shard, from_day=day, intervention=intervention_of(ACTION, "x", day))


def ordered(*outcomes: Outcome) -> OrderedIntervention:
    return OrderedIntervention(id="x", ordered_at=1, order=ACTION, outcomes=outcomes).with_state()


WHOLE = RunInterventions(
    run="r", scenario="an-giang", scenario_hash="0f" * 32, seed=57, interventions=(ordered(outcome("1/1", 0)),)
)


def test_a_document_is_read_as_it_is_written():
    assert parse_run_interventions(WHOLE.model_dump_json(exclude_none=True), "x.json") == WHOLE


def test_lines_and_toml_are_read_too():
    line = WHOLE.interventions[0].model_dump_json(exclude_none=True)
    assert parse_run_interventions(f"{line}\n\n", "x.jsonl").interventions == WHOLE.interventions
    rows = json.loads(line)
    toml = 'run = "r"\nseed = 57\n[[interventions]]\nid = "x"\n[[interventions.outcomes]]\nshard = "1/1"\n'
    toml += "from_day = 2025-11-20\n[interventions.outcomes.intervention]\n"
    toml += "".join(f"{key} = {inline(value)}\n" for key, value in rows["outcomes"][0]["intervention"].items())
    read = parse_run_interventions(toml, "x.toml")
    assert (read.run, read.seed) == ("r", 57)
    assert read.rows("1/1") == WHOLE.rows("1/1")


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("nonsense", "x.json", "x.json: Expecting value"),
        ("a = ", "x.toml", "x.toml: Invalid value"),
        ('{"interventions": [{"id": "A B"}]}', "x.json", "interventions.0.id = 'A B'"),
        ('{"interventions": [{"id": "x", "outcomes": [{"shard": "one"}]}]}', "x.json", "shard = 'one'"),
        ('{"intervention": []}', "x.json", "intervention = []: no such key"),
        ("[]", "x.json", "x.json"),
    ],
)
def test_what_is_wrong_is_said_with_file_place_and_value(text, name, found):
    with pytest.raises(BadInputError, match="quetma interventions list RUN --json") as caught:
        parse_run_interventions(text, name)
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([], "waiting"),
        ([("1/2", 0)], "done"),
        ([("1/2", 0), ("2/2", 0)], "done"),
        ([("1/2", 0), ("2/2", 1)], "differs"),
        ([("1/2", 0), ("2/2", None)], "differs"),
        ([("1/1", None)], "refused"),
    ],
)
def test_the_state_is_a_word(outcomes, state):
    assert ordered(*(outcome(*one) for one in outcomes)).state == state


def test_each_shard_has_its_own_rows():
    late = ordered(outcome("1/2", 0), outcome("2/2", 3))
    assert [late.row(shard).start.date() for shard in ("1/2", "2/2")] == [DAY, DAY + dt.timedelta(days=3)]
    assert ordered(outcome("1/2", 0)).row("2/2") is None  # it has not decided yet
    assert ordered(outcome("1/2", None), outcome("2/2", None)).row("1/2") is None
    assert ordered().row("1/1") is None


def test_a_run_in_shards_that_agree_is_one_province():
    together = ordered(outcome("1/2", 2), outcome("2/2", 2))
    assert together.row("1/1") == together.row("1/2") == together.row("1/5")
    assert ordered(outcome("1/2", None), outcome("2/2", None)).row("1/1") is None


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([("1/2", 0), ("2/2", 1)], "1/2: 2025-11-20, 2/2: 2025-11-21"),
        ([("1/2", 0)], "1/2: 2025-11-20, 2/2: not decided"),
        ([("1/2", 0), ("2/2", None)], "1/2: 2025-11-20, 2/2: refused"),
    ],
)
def test_a_run_in_shards_that_do_not_agree_is_refused_as_a_whole(outcomes, found):
    with pytest.raises(BadInputError, match=f"x begins not everywhere on one day: {found}. give --shard I/2"):
        ordered(*(outcome(*one) for one in outcomes)).row("1/1")
