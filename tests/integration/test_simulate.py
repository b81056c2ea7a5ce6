"""`quetma simulate`: the same bytes whatever the processes, whole folders or none, files that describe themselves."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal

from producers.encoding import PaymentEncoder, PaymentText
from producers.engine import ProvinceSimulation
from producers.files.days import labelled
from producers.files.formats import FORMATS
from producers.files.frames import type_of
from producers.files.order import Order
from producers.files.reading import Run, read_run
from producers.files.run import write_run
from producers.scenario_files import load_scenario, scenario_names
from schemas.errors import BadInputError, QuetmaError
from schemas.run_interventions import OrderedIntervention, Outcome, RunInterventions
from schemas.scenario.actions import intervention_of, parse_action
from schemas.scenario.hashing import scenario_hash
from schemas.tables import TABLES
from tests.small import SMALL, small
from tests.system import run_quetma
from tests.worlds import written

DAYS = 5
DEADLINE_SECONDS = 60.0


def order(days: int = DAYS, **more) -> Order:
    return Order.of(small(), days, **more)


def content(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    """A run in each format."""
    folder = tmp_path_factory.mktemp("runs")
    return {one: Run(folder / one, write_run(order(format_=one), folder / one)) for one in FORMATS}


@pytest.fixture(scope="module")
def whole(runs) -> Run:
    return runs["parquet"]


# -- the same bytes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_the_bytes_are_the_same_for_any_number_of_processes(whole, tmp_path, jobs):
    write_run(order(), tmp_path / "run", jobs=jobs)
    assert content(tmp_path / "run") == content(whole.path)


def test_lines_are_those_that_go_over_the_wire(runs):
    world = order().world
    text, records = PaymentText(world, "small-s57"), PaymentEncoder(world, "small-s57", 4)
    for day in ProvinceSimulation(world).days(DAYS):
        payments, truth = (
            (runs["jsonl"].path / t / f"{day.day.date}.jsonl").read_bytes() for t in ("payments", "truth")
        )
        assert payments.splitlines() == written(text.lines(day.payments, day.sequence))
        assert truth.splitlines() == written(records.truth(labelled(world, day)).value)


@pytest.mark.parametrize("format_", ["jsonl", "csv"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_all_formats_hold_the_same(runs, whole, format_, table):
    assert_frame_equal(runs[format_].table(table).collect(), whole.table(table).collect())


def test_shards_add_up_to_the_whole(whole, tmp_path):
    parts = []
    for index in (1, 2, 3):
        shard = order(shard=(index, 3))
        parts.append(Run(tmp_path / str(index), write_run(shard, tmp_path / str(index))))
    for table, key in (("payments", "payment_id"), ("truth", ["payment_id", "label"])):
        joined = pl.concat(getattr(part, table)().collect() for part in parts)
        expected = getattr(whole, table)().collect()
        assert_frame_equal(joined.sort(key), expected.sort(key))
    cells = pl.concat(part.cells().collect() for part in parts)
    assert_frame_equal(cells, whole.cells().collect(), check_row_order=False)
    for part in parts:
        assert_frame_equal(part.adoption()[0].collect(), whole.adoption()[0].collect())


# -- what the folder says of itself --------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_the_data_package_lists_every_file_and_column_with_its_type(runs, format_):
    folder = runs[format_].path
    package = json.loads((folder / "datapackage.json").read_bytes())
    described = set()
    for resource in package["resources"]:
        paths = [resource["path"]] if isinstance(resource["path"], str) else resource["path"]
        described.update(paths)
        assert resource["type"] == "table"
        assert resource["format"] == format_
        fields = {field["name"]: field for field in resource["schema"]["fields"]}
        assert set(resource["schema"]["primaryKey"]) <= set(fields)
        for path in paths:
            frame = read(folder / path)
            if format_ == "jsonl":
                assert set(frame.columns) <= set(fields), path
            else:
                assert frame.columns == list(fields), path
            for name, values in frame.to_dict().items():
                assert values.is_null().all() or fits(values.dtype, fields[name]["type"]), (path, name, values.dtype)
            required = [name for name, field in fields.items() if field.get("constraints", {}).get("required")]
            assert set(required) <= set(frame.columns) or not frame.height
    others = {"manifest.json", "datapackage.json", "scenario.json"}
    assert described | others == set(content(folder))
    assert len({resource["name"] for resource in package["resources"]}) == len(TABLES)


def read(path: Path) -> pl.DataFrame:
    """A file as anybody reads it, who knows nothing of it."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    whole = {"infer_schema_length": None}
    return pl.read_csv(path, try_parse_dates=True, **whole) if path.suffix == ".csv" else pl.read_ndjson(path, **whole)


def fits(type_: pl.DataType, field: str) -> bool:
    text = isinstance(type_, (pl.String, pl.Enum, pl.Categorical))
    kinds = {
        "string": text or type_.is_numeric() or type_ == pl.Date,  # in CSV such texts look like others
        "integer": type_.is_integer(),
        "number": type_.is_float(),
        "boolean": type_ == pl.Boolean,
        "date": type_ == pl.Date or text,  # JSON has no dates
    }
    return kinds[field]


def test_the_manifest_names_every_file_with_its_hash_and_what_made_the_run(whole):
    manifest = whole.manifest
    listed = {file["path"]: file["sha256"] for file in manifest["files"]}
    found = content(whole.path)
    assert listed == {path: digest for path, digest in found.items() if path != "manifest.json"}
    assert all((whole.path / file["path"]).stat().st_size == file["bytes"] for file in manifest["files"])
    assert manifest["scenario_hash"] == scenario_hash(small()) == found["scenario.json"]
    assert (manifest["run"], manifest["seed"], manifest["days"]) == ("small-s57", 57, DAYS)
    assert manifest["counts"]["payments"] == whole.payments().collect().height
    assert manifest["counts"]["truth"] == whole.truth().collect().height


def test_no_file_tells_the_time_of_the_clock(whole):
    year = time.strftime("%Y-%m-%dT")
    for name in ("manifest.json", "datapackage.json"):
        assert year not in (whole.path / name).read_text(encoding="utf-8")


def test_the_ledger_is_the_sum_of_the_payments(whole):
    local = pl.from_epoch("occurred_at", time_unit="ms").dt.offset_by("7h").dt.date().alias("day")
    settled, failed, reversed_ = (pl.col("status") == status for status in ("settled", "failed", "reversed"))
    sums = (
        whole.payments()
        .group_by(local, "cell", "commune", "sector", "method")
        .agg(
            settled.sum().cast(pl.Int64).alias("settled"),
            failed.sum().cast(pl.Int64).alias("failed"),
            reversed_.sum().cast(pl.Int64).alias("reversed"),
            pl.col("amount_vnd").filter(settled).sum(),
            pl.col("amount_vnd").filter(reversed_).sum().alias("reversed_vnd"),
        )
    )
    ledger = whole.ledger().collect()
    assert_frame_equal(ledger, sums.collect(), check_row_order=False)
    assert ledger["failed"].sum() > 0
    assert ledger["reversed"].sum() > 0


def test_months_are_files_and_days_are_files(whole):
    found = content(whole.path)
    assert {path for path in found if path.startswith("ledger")} == {"ledger/2025-12.parquet", "ledger/2026-01.parquet"}
    assert len([path for path in found if path.startswith("payments/")]) == DAYS
    assert whole.ledger().select(pl.col("day").n_unique()).collect().item() == DAYS


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_that_comes_with_quetma_can_be_written(name, tmp_path):
    scenario = load_scenario(name)
    shard = Order.of(scenario, 2, shard=(1, scenario.province.communes.value // 3))
    run = Run(tmp_path / name, write_run(shard, tmp_path / name))
    assert run.manifest["counts"]["payments"] > 0
    assert run.communes().collect().height == scenario.province.communes.value
    assert run.adoption()[0].collect().height == 2 * scenario.province.communes.value


def test_adoption_only_is_the_adoption_of_the_whole_run(whole, tmp_path):
    run = Run(tmp_path / "run", write_run(order(adoption_only=True), tmp_path / "run"))
    for mine, theirs in zip(run.adoption(), whole.adoption(), strict=True):
        assert_frame_equal(mine.collect(), theirs.collect())
    assert run.manifest["counts"] == {}
    assert not {file["table"] for file in run.manifest["files"]} & {"payments", "truth", "ledger"}
    assert run.payments().collect().schema == {column.name: type_of(column) for column in TABLES[0].columns}


# -- whole or not at all -------------------------------------------------------------------------------------


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir())


def test_what_is_there_is_replaced_with_force_alone_and_only_if_it_is_a_run(tmp_path):
    out = tmp_path / "run"
    first = write_run(order(1), out)
    with pytest.raises(BadInputError, match="--force"):
        write_run(order(2), out)
    assert read_run(out).manifest == first
    second = write_run(order(2), out, force=True)
    assert read_run(out).manifest == second
    assert list(tmp_path.iterdir()) == [out]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(BadInputError, match="no run of Quetma"):
        write_run(order(1), tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_an_interrupted_run_leaves_what_was_there(tmp_path):
    out = tmp_path / "run"
    before = write_run(order(1), out)

    def interrupt(days: int, _payments: int) -> None:
        if days == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_run(order(3), out, force=True, tell=interrupt)
    assert read_run(out).manifest == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInputError, match="No space left on device"):
        write_run(order(1), tmp_path / "run")
    assert nothing_left(tmp_path)


def workers() -> list[psutil.Process]:
    """The workers of this process; children of tests before, which may have ended and not been waited for, are none."""
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "producers.files.worker" in one.cmdline()]


def test_a_killed_worker_is_an_error_and_leaves_nothing(tmp_path):
    killed = []

    def kill(_days: int, _payments: int) -> None:
        if not killed:
            killed.append(workers()[0])
            killed[0].kill()

    with pytest.raises(QuetmaError, match="killed by signal 9"):
        write_run(order(500), tmp_path / "run", jobs=2, tell=kill)
    assert nothing_left(tmp_path)
    assert not workers()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_signalled_run_leaves_no_folder_and_no_process(tmp_path, number, code):
    out, scenario = tmp_path / "run", tmp_path / "small.toml"
    scenario.write_text(SMALL, encoding="utf-8")
    command = [sys.executable, "-m", "services.cli", "simulate", str(scenario), "--out", str(out), "--days", "3000"]
    with subprocess.Popen([*command, "--jobs", "2", "--quiet"], stdin=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(list(tmp_path.glob(".run.partial-*/payments/*"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(BadInputError, match="another process"):
            write_run(order(1), out)
        workers = psutil.Process(process.pid).children()
        assert len(workers) == 2
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == code
    _, alive = psutil.wait_procs(workers, timeout=DEADLINE_SECONDS)
    assert not alive
    assert not out.exists()
    left = list(tmp_path.glob(".run.partial-*"))
    assert len(left) == (1 if number == signal.SIGKILL else 0)
    write_run(order(1), out)
    assert set(tmp_path.iterdir()) == {out, scenario}


# -- the command ---------------------------------------------------------------------------------------------


def test_the_command_writes_the_same_and_says_so_in_json(whole, tmp_path):
    scenario = tmp_path / "small.toml"
    scenario.write_text(SMALL, encoding="utf-8")
    done = run_quetma("simulate", str(scenario), "--out", str(tmp_path / "run"), "--days", str(DAYS), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["payments"] == whole.manifest["counts"]["payments"]
    assert summary["files"] == len(whole.manifest["files"])
    assert content(tmp_path / "run") == content(whole.path)
    again = run_quetma("simulate", str(scenario), "--out", str(tmp_path / "run"), "--days", "1")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert "Traceback" not in again.stderr


# -- what was ordered of a running scenario ------------------------------------------------------------------

ACTIONS = {"dark": {"kind": "outage", "at": "06:00", "for_hours": 30.0}, "feast": {"kind": "tet", "days_before": 1}}
FIRST_DAYS = {"dark": dt.date(2025, 12, 31), "feast": dt.date(2026, 1, 1)}
ROWS = {id_: intervention_of(parse_action(values), id_, FIRST_DAYS[id_]) for id_, values in ACTIONS.items()}


def listed(**more) -> str:
    """What `quetma interventions list --json` prints of them."""
    rows = [
        OrderedIntervention(
            id=id_, outcomes=(Outcome(shard="1/1", from_day=FIRST_DAYS[id_], intervention=row),)
        ).with_state()
        for id_, row in ROWS.items()
    ]
    known = {"run": "live", "scenario": "small", "scenario_hash": scenario_hash(small()), "seed": 7, **more}
    return RunInterventions(**known, interventions=tuple(rows)).model_dump_json(exclude_none=True)


@pytest.fixture(scope="module")
def ordered(tmp_path_factory) -> Run:
    """A run with the file, by the command, in two processes."""
    folder = tmp_path_factory.mktemp("ordered")
    (folder / "small.toml").write_text(SMALL, encoding="utf-8")
    (folder / "done.json").write_text(listed(), encoding="utf-8")
    out = folder / "run"
    command = ("simulate", str(folder / "small.toml"), "--days", str(DAYS), "--jobs", "2", "--format", "jsonl")
    done = run_quetma(*command, "--interventions", str(folder / "done.json"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    return read_run(out)


def test_what_was_ordered_is_simulated_as_if_the_scenario_had_it(ordered, tmp_path):
    more = small().model_copy(update={"intervention": (*small().intervention, *ROWS.values())})
    write_run(Order.of(more, DAYS, seed=7, run="live", format_="jsonl"), tmp_path / "run")
    here, there = content(ordered.path), content(tmp_path / "run")
    others = {"manifest.json", "datapackage.json", "scenario.json"}
    assert {path: digest for path, digest in here.items() if path not in others} == {
        path: digest for path, digest in there.items() if path not in others
    }
    write_run(Order.of(small(), DAYS, seed=7, run="live", format_="jsonl"), tmp_path / "without")
    without = content(tmp_path / "without")
    same = [day for day in range(DAYS) if here[name := f"payments/{date_of(day)}.jsonl"] == without[name]]
    assert same == [0]


def date_of(day: int) -> dt.date:
    return small().start + dt.timedelta(days=day)


def test_the_manifest_records_what_was_ordered_beside_the_scenario(ordered, whole):
    manifest = ordered.manifest
    assert manifest["interventions"] == [json.loads(row.model_dump_json(exclude_none=True)) for row in ROWS.values()]
    assert (manifest["run"], manifest["seed"]) == ("live", 7)
    assert manifest["scenario_hash"] == scenario_hash(small())
    assert content(ordered.path)["scenario.json"] == content(whole.path)["scenario.json"]
    ids = [json.loads((run.path / "datapackage.json").read_text("utf-8"))["id"] for run in (ordered, whole)]
    assert [one.count(":") for one in ids] == [4, 3]
    assert whole.manifest["interventions"] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (listed(scenario_hash="0f" * 32), "done.json is of scenario small 0f0f"),
        ("{", "done.json: "),
        (listed().replace('"dark"', '"swapped"'), "swapped: the scenario has an intervention of this name"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(text, found, tmp_path):
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "done.json").write_text(text, encoding="utf-8")
    command = ("simulate", str(tmp_path / "small.toml"), "--days", "1", "--out", str(tmp_path / "run"))
    done = run_quetma(*command, "--interventions", str(tmp_path / "done.json"))
    assert done.returncode == 2
    assert found in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
