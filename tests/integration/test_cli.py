"""The command line as a process: exit codes, and errors that a user can act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system import Outcomes, run_all, run_quetma

BAD = """
extends = "an-giang"
name = "bad"
scale = { value = 4, source = "assumed" }

[electricity]
tax = { value = 0.08, source = "assumed" }

[[market]]
id = "new"
name = "Chợ Mới"
"""


def test_a_bad_scenario_lists_every_error_and_exits_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(BAD, encoding="utf-8")
    commands = (("demo",), ("produce", "--broker", "127.0.0.1:9"), ("scenario", "check"))
    for done in run_all({command[0]: (*command, str(bad)) for command in commands}).values():
        assert done.returncode == 2
        assert f"{bad}: scale.value = 4" in done.stderr
        assert f"{bad}: market.new.commune: missing" in done.stderr
        assert f"{bad}: electricity.tax" in done.stderr
        assert "Traceback" not in done.stderr


WRONG = {
    "demo --speed fast": "--speed fast",
    "demo --speed 2 --rate 5": "--rate 5",
    "demo --rate -1": "--rate -1",
    "demo --for soon": "--for 'soon'",
    "demo atlantis": "an-giang",
    "produce --shard 3/2 --broker 127.0.0.1:9": "--shard '3/2'",
    "replay none.csv": "none.csv: no such file",
    "replay pyproject.toml --speed fast": "--speed fast",
    "verify --broker nonsense": "nonsense",
    "demo --nonsense": "--nonsense",
}
"""Command lines, and what is to be named."""


@pytest.fixture(scope="module")
def refused() -> Outcomes:
    return run_all({line: tuple(line.split()) for line in WRONG})


@pytest.mark.parametrize(("line", "named"), WRONG.items())
def test_bad_arguments_are_named_and_exit_2(refused: Outcomes, line: str, named: str) -> None:
    done = refused[line]
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
