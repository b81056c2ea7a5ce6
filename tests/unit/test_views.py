"""What the exporter collects: every row of the table, once, whatever it has read; which record concerns what."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.metrics import METRICS, Metrics
from schemas.topics import ADOPTION_COMMUNE, ADOPTION_MARKET, ALERTS, LEDGER
from services.views import Views
from tests.monitoring_documents import alert, checkpoint, ledger_day, run_started, week_of

COLLECTED = {row.name: row for row in METRICS if row.collected and "serve" in row.processes}


def full() -> Views:
    """Views that have seen all that there is."""
    views = Views()
    views.learn(LEDGER, run_started(), 0)
    for topic, document in week_of():
        views.learn(topic, document, 0)
    views.learn(LEDGER, ledger_day(0, {"cash": (600, 60_000)}), 0)
    views.learn(LEDGER, checkpoint("1/1", 8), 0)
    views.learn(ALERTS, alert("p-1"), 0)
    return views


def families(views: Views) -> dict[str, Any]:
    registry = CollectorRegistry()
    registry.register(views)
    return {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}


def test_every_family_is_in_the_table_and_no_other():
    found = families(full())
    assert set(found) == set(COLLECTED)
    for name, row in COLLECTED.items():
        family = found[name]
        assert (family.type, family.documentation) == (row.kind, row.meaning)
        assert family.samples, name
        for sample in family.samples:
            assert sample.name == row.sample
            assert set(sample.labels) == set(row.labels)


def test_views_without_anything_show_their_families():
    assert {name: family.samples for name, family in families(Views()).items()} == {name: [] for name in COLLECTED}


@pytest.mark.parametrize("views", [Views(), full()], ids=["empty", "full"])
def test_they_go_with_the_other_metrics_of_their_process(views: Views):
    registry = CollectorRegistry()
    Metrics("serve", registry, "1.2.3")
    registry.register(views)
    names = [family.name for family in text_string_to_metric_families(generate_latest(registry).decode())]
    assert {row.name for row in METRICS if "serve" in row.processes} <= set(names)
    assert len(set(names)) == len(names)


def test_a_market_is_no_commune():
    """Records of markets must not count a second time what their communes have."""
    views, other = full(), full()
    for topic, document in week_of():
        if topic == ADOPTION_COMMUNE:
            market = {name: part for name, part in document.items() if name != "by_sector"} | {"market": "cho-x"}
            other.learn(ADOPTION_MARKET, market, 0)
    apart = {"quetma_market_cashless_share", "quetma_market_payments", "quetma_reconciliation_timestamp_seconds"}
    mine, theirs = families(views), families(other)
    for name in set(COLLECTED) - apart:
        assert mine[name].samples == theirs[name].samples
