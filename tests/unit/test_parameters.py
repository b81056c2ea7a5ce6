"""The page of parameters is what the schema says, and nothing of the schema is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from producers.scenario_files import base_values
from schemas.scenario.interventions import Intervention
from schemas.scenario.merging import leaves
from services.parameters import render

PAGE = render()
ROWS = {cells[0].strip(" `*"): cells for cells in (line.split(" | ") for line in PAGE.splitlines() if line[:1] == "|")}
KINDS = get_args(get_args(Intervention)[0])


def cells(key: str) -> list[str]:
    return [cell.strip(" |") for cell in next(row for name, row in ROWS.items() if name.strip("| `*") == key)]


def test_the_page_is_what_the_schema_says():
    assert Path("docs/parameters.md").read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize(
    ("key", "unit", "limits", "default", "source"),
    [
        ("scale", "share", "> 0, ≤ 1", "`0.4`", "assumed"),
        ("adoption.people.imitation", "1/year", "≥ 0, ≤ 100", "`0.35`", "assumed"),
        ("electricity.cashless.amount_slope", "logit", "≥ -2, ≤ 2", "`1.5`", "icon.com.vn"),
        ("market_stall.weekday", "7 × factor", "≥ 0, ≤ 100", "`[0.95, 0.95", "assumed"),
        ("market_stall.amount_min_vnd", "VND", "> 0, ≤ 10 000 000 000", "`5000`", "vietnam.vn"),
        ("income.first_day", "day of the month", "≥ 1, ≤ 28", "`2`", "assumed"),
        ("hours.dawn", "24 × weight", "≥ 0", "24 numbers", "vietnam.vn"),
        ("electricity.tariff", "", "", "6 rows", "each row its own"),
        ("province.communes", "count", "≥ 1", "—", ""),
        ("adoption.deterministic", "boolean", "", "`false`", ""),
        ("commune.active_start", "share", "> 0, < 1", "none", ""),
        ("commune.settlement", "text", "`urban`, `rural`", '`"rural"`', ""),
        ("water.business.cashless_share", "share", "≥ 0, ≤ 1", "—", ""),
    ],
)
def test_a_row(key, unit, limits, default, source):
    _, *found, meaning = cells(key)
    assert found[:2] == [unit, limits]
    assert found[2].startswith(default)
    assert found[3].startswith(source)
    assert bool(found[3]) == bool(source)
    assert meaning or key.startswith("hours.")


def test_every_figure_of_the_base_has_a_row():
    listed = {name.strip("| `*") for name in ROWS}
    keys = {key for key, _ in leaves(base_values("vietnam")) if not key.startswith("intervention")}
    assert len(keys) > 100
    assert keys - listed == set()


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.__name__)
def test_every_kind_of_intervention_has_its_keys_and_an_example(model):
    kind = get_args(model.model_fields["kind"].annotation)[0]
    section = re.search(rf"^### {kind}$(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert f'kind = "{kind}"' in section[1]
    for name in model.model_fields:
        assert re.search(rf"^\| \*?`{name}`", section[1], re.MULTILINE) or name == "kind"


def test_every_figure_has_a_meaning():
    silent = [name for name, row in ROWS.items() if len(row) == 6 and not row[-1].strip(" |")]
    known = {"hours", "electricity.tariff[].source", "water.tariff[].source", "public_service.fees[].source"}
    assert {name.strip("| `*").split(".")[0] if "hours." in name else name.strip("| `*") for name in silent} <= known
