"""What readers make of adoption that lands late: a paused worker's records come after those of its successor."""

from __future__ import annotations

import json

import pytest

from services.adoption_view import AdoptionView
from services.verify import is_newer

STEPS = (
    {"revision": 3, "duplicates": 0, "late": 0, "final": False},
    {"revision": 3, "duplicates": 1, "late": 0, "final": False},
    {"revision": 4, "duplicates": 1, "late": 1, "final": False},
    {"revision": 4, "duplicates": 1, "late": 1, "final": True},
)
"""Of one key, in the order in which they become true."""


@pytest.mark.parametrize("stale", range(len(STEPS) - 1))
def test_verify_keeps_the_furthest(stale):
    stale_record, newest = (json.dumps(STEPS[at]).encode() for at in (stale, -1))
    assert is_newer(newest, None)
    assert is_newer(newest, stale_record)
    assert is_newer(newest, newest)
    assert not is_newer(stale_record, newest)


@pytest.mark.parametrize("stale", range(len(STEPS) - 1))
def test_the_exporter_keeps_the_furthest(stale):
    place = {"run": "r", "province": "an-giang", "commune": "binh-an", "tallies": {}, "by_sector": {}, "start_at": 0}
    for window in ("total", "day", "hour"):
        view = AdoptionView()
        view.start_run({"run": "r", "province": "an-giang", "started_at": 1})
        for step in (STEPS[-1], STEPS[stale]):
            view.apply({**place, **step, "window": window})
        kept = {"total": view._totals, "day": view._communes, "hour": view._times}[window]["r", "binh-an"]
        assert {name: kept[name] for name in STEPS[-1]} == STEPS[-1]
