"""Codes swapped at stalls: the stream finds each payment that went to a stranger, and accuses nobody else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from schemas.events import Account, Alert, Truth
from schemas.topics import ACCOUNTS, ALERTS, TRUTH
from services.topic_reader import read_all
from tests.system import System

pytestmark = pytest.mark.broker

DECIDED_SECONDS = 10.0
"""How long it may take until nobody is suspected any more, when all is counted."""
SWAPPED = """\
extends = "an-giang"
name = "swapped"

[[intervention]]
id = "swapped-from-the-start"
kind = "fraud_wave"
start = 2025-11-17
end = 2025-11-25
stalls = { value = 0.1, source = "assumed" }
source = "assumed"
"""


async def payments_of(servers: str, run: str) -> tuple[list[Alert], list[Truth], list[Account]]:
    """The alerts of a run, what was true of its payments, and what its tills have registered."""
    alerts, truths, accounts = list[Alert](), list[Truth](), list[Account]()
    async for record in read_all(servers, (ALERTS, TRUTH, ACCOUNTS)):
        if record.topic == ALERTS:
            alerts.append(Alert.model_validate_json(record.value))
        elif record.topic == TRUTH:
            truths.append(Truth.model_validate_json(record.value))
        else:
            accounts.append(Account.model_validate_json(record.value))
    return ([one for one in listed if one.run == run] for listed in (alerts, truths, accounts))


def test_precision_and_recall_are_one_whatever_else_goes_wrong_on_the_way(system: System, tmp_path: Path) -> None:
    path = tmp_path / "swapped.toml"
    path.write_text(SWAPPED, encoding="utf-8")
    before = system.metrics("stream").total("quetma_fraud_alerts_total")
    done = system.quetma(
        "produce", str(path), "--run", "swapped", "--days", "2", "--shard", "3/10", "--speed", "max", "--json"
    )
    assert done.returncode == 0, done.stderr
    verdict = system.quetma_verify("--run", "swapped", "--wait", "15s")
    assert verdict["exact"], verdict["mismatches"][:5]
    deadline = time.monotonic() + DECIDED_SECONDS
    while True:
        alerts, truths, accounts = asyncio.run(payments_of(system.servers, "swapped"))
        swapped = {one.payment_id for one in truths if one.label == "fraud"}
        if len(alerts) >= len(swapped) or time.monotonic() > deadline:
            break
    assert len(swapped) > 20
    assert {one.payment_id for one in alerts} == swapped
    registered = {one.source: one.account for one in accounts}
    for alert in alerts:
        assert alert.kind == "other_account"
        assert alert.registered == registered[alert.source] != alert.beneficiary
    assert system.metrics("stream").total("quetma_fraud_alerts_total") - before == len(swapped)
    money = sum(one.amount_vnd for one in alerts)
    system.until(lambda: system.metrics("serve").total("quetma_suspect_vnd_total") == money, [system.exporter])
    assert system.metrics("serve").total("quetma_suspect_payments_total") == len(alerts)
