"""The documents say what the code does: reference from the tables, links that lead somewhere, commands that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from producers.scenario_files import load_scenario, scenario_names
from services.cli import build_app
from services.reference import render

PAGES = [
    *(Path(name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "services/monitoring/runbook.md")),
    *sorted(Path("docs").glob("*.md")),
]


def test_reference_is_what_the_tables_say() -> None:
    assert Path("docs/reference.md").read_text(encoding="utf-8") == render()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_command_of_the_readme_exists_with_its_options() -> None:
    lines = re.findall(r"^\$ quetma (.*?)(?:\s{2,}#.*)?$", Path("README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    for line in lines:
        command, words = typer.main.get_command(build_app()), shlex.split(line)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]  # groups have it, see above
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_qr_output_of_the_readme_is_what_the_command_prints() -> None:
    text = Path("README.md").read_text(encoding="utf-8")
    line, output = re.findall(r"^\$ quetma (qr build .*)\n(.*)$", text, re.MULTILINE)[0]
    assert CliRunner().invoke(build_app(), shlex.split(line)).stdout.strip() == output


def test_every_source_of_the_scenarios_is_listed() -> None:
    page = Path("docs/sources.md").read_text(encoding="utf-8")
    listed = ("assumed", *re.findall(r"^\| ([^|]+?) +\|", page, re.MULTILINE)[1:])
    for name in scenario_names():
        sources = re.findall(r"source='([^']*)'", repr(load_scenario(name)))
        assert len(sources) > 50
        assert [source for source in sources if not source.startswith(listed)] == []
