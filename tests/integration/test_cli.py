"""The command line as a process: exit codes, and errors that a user can act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import run_quetma

SCENARIO = Path("producers/scenarios/an-giang.toml").read_text(encoding="utf-8")


def test_a_bad_scenario_lists_every_error_and_exits_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    text = SCENARIO.replace("scale = { value = 0.4,", "scale = { value = 4,").replace("vat = ", "tax = ", 1)
    bad.write_text(text, encoding="utf-8")
    for command in (["demo"], ["produce", "--broker", "127.0.0.1:9"], ["scenario", "check"]):
        done = run_quetma(*command, str(bad))
        assert done.returncode == 2
        assert f"{bad}: scale.value = 4" in done.stderr
        assert f"{bad}: electricity.vat: missing" in done.stderr
        assert f"{bad}: electricity.tax" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["demo", "--speed", "fast"], "--speed fast"),
        (["demo", "--speed", "2", "--rate", "5"], "--rate 5"),
        (["demo", "--rate", "-1"], "--rate -1"),
        (["demo", "--for", "soon"], "--for 'soon'"),
        (["demo", "atlantis"], "an-giang"),
        (["produce", "--shard", "3/2", "--broker", "127.0.0.1:9"], "--shard '3/2'"),
        (["verify", "--broker", "nonsense"], "nonsense"),
        (["demo", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_arguments_are_named_and_exit_2(arguments: list[str], named: str) -> None:
    done = run_quetma(*arguments)
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_variable_is_named_and_exits_2() -> None:
    done = run_quetma("topics", "list", QUETMA_KAFKA__PARTITIONS="none")
    assert done.returncode == 2
    assert "QUETMA_KAFKA__PARTITIONS" in done.stderr


def test_an_impossible_port_is_named() -> None:
    done = run_quetma("serve", "--broker", "127.0.0.1:9", QUETMA_SERVE__PORT="99999")
    assert done.returncode == 2
    assert "QUETMA_SERVE__PORT" in done.stderr
