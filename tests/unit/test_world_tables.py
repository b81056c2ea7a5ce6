"""The tables beside the scenarios are what their Data Package says."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "producers" / "world"
PACKAGE = json.loads((FOLDER / "datapackage.json").read_text(encoding="utf-8"))
TABLES = {table["name"]: table for table in PACKAGE["resources"]}


def rows(name):
    text = (FOLDER / TABLES[name]["path"]).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def allowed(value, field):
    limits = field.get("constraints", {})
    if not value:
        return not limits.get("required")
    if field["type"] == "number":
        number = float(value)
        return (
            limits.get("minimum", -math.inf) <= number <= limits.get("maximum", math.inf)
            and number > limits.get("exclusiveMinimum", -math.inf)
        )  # fmt: skip
    return value in limits.get("enum", [value]) and re.fullmatch(limits.get("pattern", ".*"), value) is not None


def test_every_table_is_described():
    assert sorted(table["path"] for table in TABLES.values()) == sorted(path.name for path in FOLDER.glob("*.csv"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_keeps_its_schema(name):
    schema, found = TABLES[name]["schema"], rows(name)
    assert list(found[0]) == [field["name"] for field in schema["fields"]]
    for row in found:
        assert [field["name"] for field in schema["fields"] if not allowed(row[field["name"]], field)] == [], row
    keys = [tuple(row[key] for key in schema["primaryKey"]) for row in found]
    assert len(set(keys)) == len(keys) > 0


def test_the_segments_of_a_settlement_are_all_its_adults():
    shares = defaultdict(float)
    for row in rows("segments"):
        shares[row["settlement"]] += float(row["share"])
    assert shares == pytest.approx({"urban": 1.0, "rural": 1.0})
