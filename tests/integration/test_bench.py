"""Benchmarks give the rows that they promise, at a tiny size, and leave nothing behind; how fast is not asked here."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import typer
from typer.testing import CliRunner

from schemas.errors import BadInputError, UnreachableError
from services import bench_commands
from tests.benchmarks import (
    bench_encode,
    bench_end_to_end,
    bench_generate,
    bench_memory,
    bench_publish,
    bench_stream,
)
from tests.benchmarks.measuring import Meter, Row, broker_of, in_own_process, row

TINY = 0.01
BASIC = {"name", "events", "seconds", "events_per_second"}
FULL = BASIC | {"cpu_seconds", "cpu_us_per_event", "peak_memory_mb"}


@pytest.fixture(autouse=True)
def _nothing_left_behind():
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def check(measured: Row, name: str, *processes: str) -> None:
    assert measured.keys() >= FULL
    assert measured["name"] == name
    assert measured["events"] > 0
    assert measured["seconds"] > 0
    assert measured["events_per_second"] > 0
    assert measured["cpu_seconds"] >= 0
    assert set(measured["peak_memory_mb"]) == set(processes)
    assert all(peak > 1 for peak in measured["peak_memory_mb"].values())
    assert json.loads(json.dumps(measured)) == measured


def run(*arguments: str):
    app = typer.Typer()
    app.command()(bench_commands.bench)
    return CliRunner().invoke(app, arguments)


def test_generate() -> None:
    check(bench_generate.generate(TINY), "generate", "generator")


def test_encode() -> None:
    check(bench_encode.payments(TINY), "encode", "encoder")
    check(bench_encode.codes(TINY), "encode codes", "encoder")


def test_fold() -> None:
    measured = bench_stream.fold(TINY, records=2_000)
    check(measured, "fold", "fold")
    assert measured["events"] % 2_000 == 0


@pytest.mark.broker
def test_publish() -> None:
    with broker_of(None) as broker:
        check(bench_publish.ready(TINY, broker.servers, broker.pid), "publish ready", "publisher", "broker")
        measured = bench_publish.simulated(TINY, broker.servers)
        check(measured, "publish simulated", "producer")
        assert "broker_cpu_seconds" not in measured
        with pytest.raises(BadInputError, match="name an empty cluster"):
            next(bench_stream.run(events=1, broker=broker.servers))


@pytest.mark.broker
def test_stream() -> None:
    worker, stock, fold = bench_stream.run(events=3_000, seconds=TINY)
    check(worker, "stream", "worker", "broker")
    assert worker["events"] == 3_000
    assert worker["exact"] is True
    assert worker["adoption_records"] > 0
    assert worker["state_records"] > 0
    check(stock, "stock agent", "stock")
    assert worker["times_stock"] == pytest.approx(worker["events_per_second"] / stock["events_per_second"], abs=0.1)
    check(fold, "fold", "fold")


@pytest.mark.broker
def test_end_to_end(tmp_path: Path) -> None:
    paced = bench_end_to_end.measure("paced", ["bac-giang", "--rate", "2000"], 2.0, tmp_path)
    check(paced, "paced", "demo", "broker", "stream", "serve", "produce")
    assert paced["exact"] is True
    assert paced["events"] == paced["exported"]
    assert paced["steady_events_per_second"] > 0
    assert set(paced["latency_ms"]) == {"p50", "p95", "p99"}


@pytest.mark.broker
def test_end_to_end_says_why_a_demo_failed(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="--rate -1"):
        bench_end_to_end.measure("wrong", ["--rate", "-1"], 1.0, tmp_path)


@pytest.mark.broker
def test_memory() -> None:
    rows = {measured["name"]: measured for measured in bench_memory.run(events=20_000)}
    assert set(rows) == {f"memory {process}" for process in ("producer", "worker", "exporter", "broker")}
    for name, measured in rows.items():
        check(measured, name, name.removeprefix("memory "))
        assert measured["events"] >= 20_000
        assert list(measured["memory_mb"]) == ["2000", "4000", "10000", "20000"]
        assert "bytes_per_event" in measured


def test_steady_rate_leaves_out_what_is_before_and_after() -> None:
    looks = [(0.0, 0.0), (1.0, 100.0), (2.0, 400.0), (3.0, 700.0), (9.0, 700.0), (10.0, 0.0)]
    assert bench_end_to_end.steady_rate(looks) == 300.0
    assert bench_end_to_end.steady_rate([(0.0, 0.0), (1.0, 5.0)]) is None
    assert bench_end_to_end.steady_rate([]) is None


def test_memory_between_two_looks_and_its_slope() -> None:
    watched = bench_memory.Watched(Meter())
    watched.events, watched.memory_mb = [0, 1_000_000, 3_000_000], [50.0, 100.0, 120.0]
    assert watched.at(500_000) == 75.0
    assert watched.at(2_000_000) == 110.0
    assert watched.at(9_000_000) == 120.0
    assert watched.bytes_per_event(after=1_000_000) == 10.0
    assert watched.bytes_per_event(after=2_000_000) is None


def test_meter_keeps_what_it_read_last() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        meter = Meter(process.pid)
        assert meter.read()
        memory = meter.memory_mb
        process.kill()
    assert not meter.read()
    assert meter.memory_mb == memory > 0


def test_row_of_nothing() -> None:
    empty = row("nothing", events=0, seconds=0.0, cpu_seconds=0.5, peak_memory_mb={})
    assert (empty["events_per_second"], empty["cpu_us_per_event"]) == (0.0, 0.0)


def test_what_fails_in_its_own_process_is_told() -> None:
    with pytest.raises(UnreachableError, match="is not HOST:PORT"):
        in_own_process(bench_publish.simulated, seconds=TINY, servers="nowhere")


def test_json_is_one_object_a_line() -> None:
    result = run("generate", "--seconds", str(TINY), "--json")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    check(json.loads(line), "generate", "generator")
    assert "generate" in result.stderr


def test_table(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {"worker": 99.9, "broker": 12.0}
    full = row("full", events=1_000, seconds=2.0, cpu_seconds=0.003, peak_memory_mb=peaks, exact=True, slope=None)
    monkeypatch.setattr(bench_commands, "_benchmark", lambda _name: lambda: iter([full]))
    result = run("memory", "--quiet")
    assert result.exit_code == 0
    heading, numbers, more = result.stdout.splitlines()
    assert heading.split()[0] == "benchmark"
    assert numbers.split() == ["full", "1,000", "2.0", "500", "0.0", "3.00"]
    assert more == "full: peak_memory_mb (worker 99.9, broker 12.0), exact yes, slope -"
    assert result.stderr == ""


def test_table_takes_rows_without_cpu_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"name": "plain", "events": 10, "seconds": 2.0, "events_per_second": 5.0}
    monkeypatch.setattr(bench_commands, "_benchmark", lambda _name: lambda: iter([plain]))
    result = run("qr")
    assert result.stdout.splitlines()[1].split() == ["plain", "10", "2.0", "5", "-", "-"]


def test_all_usual_ones_run_with_the_options_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def benchmark(name):
        def timed(seconds):
            calls.append((name, {"seconds": seconds}))
            return iter([])

        def counted(events=7, broker=None):
            calls.append((name, {"events": events, "broker": broker}))
            return iter([])

        return counted if name == "stream" else timed

    monkeypatch.setattr(bench_commands, "_benchmark", benchmark)
    list(bench_commands.measurements(None, {"events": 5}, lambda _text: None))
    assert [name for name, _ in calls] == ["adoption", "generate", "encode", "publish", "stream", "end-to-end", "qr"]
    assert dict(calls)["stream"] == {"events": 5, "broker": None}
    assert dict(calls)["qr"] == {"seconds": bench_commands.DEFAULT_SECONDS}


def test_every_benchmark_is_found_and_takes_options_that_there_are() -> None:
    names = bench_commands.benchmark_names()
    assert set(names) == {*bench_commands.USUAL, *bench_commands.BY_NAME}
    for module in (bench_generate, bench_encode, bench_publish, bench_stream, bench_end_to_end, bench_memory):
        assert inspect.signature(module.run).parameters.keys() <= {"seconds", "events", "broker"}


def test_unknown_name() -> None:
    assert "give one of adoption, encode, end-to-end, generate" in str(run("encoding").exception)


def test_option_that_is_not_taken() -> None:
    result = run("generate", "--events", "5")
    assert isinstance(result.exception, BadInputError)
    assert "generate takes no --events" in str(result.exception)


def test_without_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="run it from a checkout"):
        bench_commands.benchmark_names(tmp_path)
