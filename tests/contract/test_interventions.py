"""A hand on a running scenario: producers obey, go on after kill -9, and `quetma simulate` makes the same again."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.errors import BadInputError
from schemas.topics import PAYMENTS, TRUTH
from services.cli import build_app
from services.interventions import run_of
from services.topic_reader import read_all
from tests.contract.systems import FirstRun
from tests.small import SMALL, small
from tests.system import System, finished, run_quetma, usually_on

pytestmark = pytest.mark.broker
DAYS, SHARD, COMMUNE = 14, "3/10", "an-giang-c013"
LAST = "2025-11-30"


def ordered(system: System, run: str, *arguments: str) -> str:
    """Order something; return the id."""
    done = system.quetma("interventions", "send", run, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    id_: str = json.loads(done.stdout)["id"]
    return id_


def listed(system: System, run: str) -> dict[str, Any]:
    """What the command prints."""
    done = system.quetma("interventions", "list", run, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def outcomes(system: System, run: str) -> dict[str, list[dict[str, Any]]]:
    """What producers made of each intervention, without a process of its own."""
    known = asyncio.run(run_of(system.servers, run)).document()
    return {one["id"]: one.get("outcomes", []) for one in known["interventions"]}


def pace(system: System, run: str, *arguments: str) -> None:
    done = system.quetma("interventions", "pace", run, *arguments)
    assert done.returncode == 0, done.stderr


async def on_topics(servers: str, run: str) -> dict[str, set[bytes]]:
    """The payments and truths of a run, spoiled copies left out, each once."""
    found: dict[str, set[bytes]] = defaultdict(set)
    async for record in read_all(servers, (PAYMENTS, TRUTH)):
        if f'"run":"{run}"'.encode() in record.value and record.value.endswith(b"}"):
            found[record.topic].add(record.value)
    return found


def on_disk(folder: Path) -> dict[str, set[bytes]]:
    return {
        topic: {line for file in (folder / table).iterdir() for line in file.read_bytes().splitlines()}
        for topic, table in ((PAYMENTS, "payments"), (TRUTH, "truth"))
    }


def simulated(system: System, run: str, folder: Path, *arguments: str) -> dict[str, set[bytes]]:
    """Simulate with what `quetma interventions list` prints of a run."""
    document = folder / f"{run}.json"
    document.write_text(json.dumps(listed(system, run)), encoding="utf-8")
    command = ("simulate", *arguments, "--format", "jsonl", "--interventions", str(document))
    done = run_quetma(*command, "--out", str(folder / "run"))
    assert done.returncode == 0, done.stderr
    return on_disk(folder / "run")


def test_what_was_ordered_of_a_run_makes_the_same_payments_again(system: System, tmp_path: Path) -> None:
    run = "steered"
    producer = system.produce(run, "--days", str(DAYS), "--shard", SHARD, "--speed", "20000")
    system.until(lambda: system.acked() > 0, [producer])
    outage = ordered(system, run, "--kind", "outage", "--place", COMMUNE, "--set", "for_hours=20", "--set", "at=02:00")
    fraud = ordered(system, run, "--kind", "fraud_wave", "--set", "stalls=0.5")
    lost = ordered(system, run, "--kind", "promotion", "--id", "teams")
    system.until(lambda: all(outcomes(system, run).get(one) for one in (outage, fraud, lost)), [producer])
    begins = {id_: said[0].get("from_day") for id_, said in outcomes(system, run).items()}
    assert begins[lost] is None
    assert "2025-11-17" < begins[outage] <= begins[fraud] < LAST
    producer.kill()
    stands = ordered(system, run, "--kind", "stall_stands", "--set", "for_days=3", "--set", "make_share=0.9")
    producer.restart()
    system.until(lambda: bool(outcomes(system, run)[stands]), [producer])
    pace(system, run, "--speed", "max")
    done = finished(producer)
    assert done["behind"] > 0
    said = outcomes(system, run)
    assert {id_: one[0].get("from_day") for id_, one in said.items() if id_ != stands} == begins
    assert begins[outage] < said[stands][0]["from_day"] <= LAST
    assert "teams: the scenario has an intervention of this name" in said[lost][0]["refused"]
    found = asyncio.run(on_topics(system.servers, run))
    assert found == simulated(system, run, tmp_path, "an-giang", "--days", str(DAYS), "--shard", SHARD)
    labels = {json.loads(value)["label"] for value in found[TRUTH]}
    assert {"fraud", "outage_cash"} <= labels
    verdict = system.verify(run)
    assert verdict["exact"], verdict["mismatches"][:5]
    assert verdict["payments"]["ledger"] == len(found[PAYMENTS])


@usually_on("embedded")
def test_a_run_stands_still_goes_on_and_changes_its_speed(system: System) -> None:
    run = "paced"
    producer = system.produce(run, "--shard", SHARD, "--speed", "4000")

    def told(name: str) -> float:
        return system.metrics("produce").total(name)

    system.until(lambda: told("quetma_speed") == 4000 and system.acked() > 0, [producer])
    assert told("quetma_active_interventions") > 0
    pace(system, run, "--pause")
    system.until(lambda: told("quetma_speed") == 0, [producer])
    reached, sent = told("quetma_produced_time_seconds"), told("quetma_produced_payments_total")
    producer.kill()
    producer.restart()
    system.until(lambda: "run paced is paused by an order" in producer.log_end(), [producer])
    assert told("quetma_speed") == 0
    assert told("quetma_produced_payments_total") == 0
    pace(system, run, "--speed", "8000")
    pace(system, run, "--resume")
    system.until(lambda: told("quetma_speed") == 8000 and told("quetma_produced_payments_total") > 0, [producer])
    assert sent > 0
    assert reached <= told("quetma_produced_time_seconds") < reached + 8000 * 30
    producer.kill()


@usually_on("embedded")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("send", "nobody", "--kind", "outage"), "no run 'nobody'. give one of "),
        (("pace", "nobody", "--pause"), "no run 'nobody'. give one of "),
        (("list", "nobody"), "no run 'nobody'. give one of "),
        (("send", "an-giang-s57", "--kind", "outage", "--place", COMMUNE[:-1]), f"give one of {COMMUNE}"),
        (
            ("send", "an-giang-s57", "--kind", "outage", "--set", "for_hours=0"),
            "for_hours = 0: input should be greater",
        ),
        (("send", "an-giang-s57", "--kind", "outage", "--set", "for_hours"), "give KEY=VALUE"),
        (("send", "an-giang-s57", "--kind", "outage", "--start", "soon"), "give a date such as 2025-11-20"),
        (("send", "an-giang-s57", "--kind", "outage", "--start", "2099-01-01"), "2099"),
        (("send", "an-giang-s57", "--kind", "outage", "--id", "Not A Slug"), "id = 'Not A Slug'"),
        (("send", "an-giang-s57", "--file", "nowhere.toml"), "nowhere.toml"),
        (("send", "an-giang-s57"), "give a kind: digital_team, "),
        (("pace", "an-giang-s57"), "give one of --speed X, --pause and --resume"),
        (("pace", "an-giang-s57", "--speed", "0"), "give a speed above 0 or max"),
        (("pace", "an-giang-s57", "--speed", "fast"), "give a number above 0, or max"),
    ],
)
def test_what_is_wrong_with_an_order_is_said(
    system: System, ran: FirstRun, arguments: tuple[str, ...], found: str
) -> None:
    assert ran.name == "an-giang-s57"
    done = CliRunner().invoke(build_app(["interventions"]), ["interventions", *arguments], env=system.environment())
    assert isinstance(done.exception, BadInputError)
    assert found in str(done.exception)


@usually_on("embedded")
def test_an_order_may_stand_in_a_file_and_names_are_taken_once(system: System, tmp_path: Path) -> None:
    path = tmp_path / "order.toml"
    text = f'kind = "outage"\nid = "from-a-file"\nstart = 2098-01-01\nat = 07:30:00\nplace = ["{COMMUNE}"]\n'
    path.write_text(text, encoding="utf-8")
    assert ordered(system, "an-giang-s57", "--file", str(path), "--set", "for_hours=2") == "from-a-file"
    (one,) = [one for one in listed(system, "an-giang-s57")["interventions"] if one["id"] == "from-a-file"]
    assert (one["state"], one["start"]) == ("waiting", "2098-01-01")
    assert (one["order"]["at"], one["order"]["for_hours"], one["order"]["place"]) == ("07:30:00", 2.0, [COMMUNE])
    again = system.quetma("interventions", "send", "an-giang-s57", "--file", str(path))
    assert again.returncode == 2
    assert "run an-giang-s57 has an intervention 'from-a-file'" in again.stderr
    shown = system.quetma("interventions", "list", "an-giang-s57")
    assert "from-a-file" in shown.stdout
    assert "waiting" in shown.stdout


@usually_on("kafka")
def test_shards_agree_on_a_start_that_is_some_days_ahead(system: System, tmp_path: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(SMALL, encoding="utf-8")
    run, days = "halves", 8
    same = ("produce", str(scenario), "--run", run, "--days", str(days), "--speed", "20000", "--json")
    shards = [
        system.start(f"produce-{number}", *same, "--shard", f"{number}/2", QUETMA_PRODUCER__METRICS_PORT="0")
        for number in (1, 2)
    ]

    def both_announced() -> bool:
        try:
            known = asyncio.run(run_of(system.servers, run))
        except BadInputError:
            return False
        return known.places >= {"u-minh-thuong", "an-minh"}  # the first lies in one shard, the second in the other

    system.until(both_announced, shards)
    start = small().start + dt.timedelta(days=days - 2)
    together = ordered(system, run, "--kind", "tet", "--set", "days_before=1", "--start", start.isoformat())
    system.until(lambda: len(outcomes(system, run)[together]) == 2, shards)
    pace(system, run, "--speed", "max")
    for shard in shards:
        finished(shard)
    (row,) = listed(system, run)["interventions"]
    assert row["state"] == "done"
    assert [(one["shard"], one["from_day"]) for one in row["outcomes"]] == [
        (f"{number}/2", start.isoformat()) for number in (1, 2)
    ]
    found = asyncio.run(on_topics(system.servers, run))
    assert found == simulated(system, run, tmp_path, str(scenario), "--days", str(days))
    assert system.verify(run)["exact"]
