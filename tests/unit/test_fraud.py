"""Payments to a stranger's account: who is suspected, when an alert is raised, and what a restart does to both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from schemas.events import Alert
from streams.fraud import LOOKS, NOBODY, Accounts
from streams.lineage import recover
from streams.partitions import Flush, Partition, PartitionSettings
from tests.stream_model import HOUR_MS, MIDNIGHT_MS, PLACES, Cells, Record, log_of, payment

MARKET = PLACES[0]
OURS, STRANGERS = "SIM00100000001", "SIMX00000001"


class Registered:
    """Accounts of the tills of one run."""

    def __init__(self, **accounts: str) -> None:
        self.accounts = accounts

    def of_run(self, run: str) -> Mapping[str, str] | None:
        return self.accounts if run == MARKET.run else None


def opened(accounts: Accounts, table: dict[bytes, bytes] | None = None) -> Partition:
    return Partition(7, 5, recover(7, table or {}), PartitionSettings(0), accounts=accounts)


def scan(beneficiary: str | None, sequence: int = 1, **changes: Any) -> dict[str, Any]:
    return payment(MARKET, "s", sequence, **({"method": "vietqr", "beneficiary": beneficiary} | changes))


def fold(partition: Partition, *documents: dict[str, Any]) -> None:
    begin = partition.next_offset
    records = [Record(begin + one.offset, one.value) for one in log_of(*documents)]
    partition.apply(records, Cells(), registry_is_fresh=True)


def flushed(partition: Partition) -> Flush:
    flush = partition.flush()
    assert flush is not None
    partition.flushed(flush)
    return flush


def alerts(flush: Flush) -> list[Alert]:
    found = [(key, Alert.model_validate_json(value)) for key, value in flush.alerts]
    assert [key for key, _ in found] == [f"{alert.run}|{alert.payment_id}".encode() for _, alert in found]
    return [alert for _, alert in found]


def test_a_payment_to_another_account_than_the_registered_one_raises_an_alert_at_the_next_flush():
    partition = opened(Registered(s=OURS))
    fold(partition, scan(OURS), scan(STRANGERS, 2), scan(OURS, 3))
    (alert,) = alerts(flushed(partition))
    assert alert == Alert(
        schema_version=1,
        kind="other_account",
        run=MARKET.run,
        source="s",
        cell=MARKET.cell,
        commune=MARKET.commune,
        payment_id="s-2",
        beneficiary=STRANGERS,
        registered=OURS,
        amount_vnd=20_000,
        occurred_at=MIDNIGHT_MS,
    )
    assert partition.fold.state.alerts == 1
    assert partition.flush() is None


@pytest.mark.parametrize("status", ["settled", "failed", "reversed"])
def test_it_does_so_whatever_became_of_the_payment(status):
    partition = opened(Registered(s=OURS))
    fold(partition, scan(STRANGERS, status=status))
    assert len(alerts(flushed(partition))) == 1


def test_a_repeated_payment_is_suspected_once():
    partition = opened(Registered(s=OURS))
    fold(partition, scan(STRANGERS), scan(STRANGERS))
    assert [alert.payment_id for alert in alerts(flushed(partition))] == ["s-1"]
    assert partition.fold.state.duplicates == 1
    assert partition.fold.state.alerts == 1


def test_payments_without_a_scanned_code_are_not_suspected():
    partition = opened(Registered(s=OURS))
    fold(partition, payment(MARKET, "s", 1), scan(None, 2))
    assert flushed(partition).alerts == []


@pytest.mark.parametrize("accounts", [NOBODY, Registered()])
def test_a_run_that_registers_nothing_raises_no_alert_at_once(accounts):
    partition = opened(accounts)
    fold(partition, scan(STRANGERS))
    assert flushed(partition).alerts == []


def test_a_till_that_registers_a_little_later_is_judged_then():
    accounts = Registered()
    partition = opened(accounts)
    fold(partition, scan(OURS), scan(STRANGERS, 2))
    assert flushed(partition).alerts == []
    assert partition.flush() is None
    accounts.accounts["s"] = OURS
    assert [alert.payment_id for alert in alerts(flushed(partition))] == ["s-2"]
    assert partition.fold.state.suspects == []


def test_a_till_that_has_registered_nothing_when_the_hour_closes_raises_an_alert_of_its_own():
    partition = opened(Registered())
    fold(partition, scan(OURS))
    assert flushed(partition).alerts == []
    fold(partition, payment(MARKET, "other", 1, occurred_at=MIDNIGHT_MS + HOUR_MS))
    assert flushed(partition).alerts == []  # the account may be on its way
    for _ in range(LOOKS):
        assert partition.waits_for_accounts
        flush = partition.flush()
        assert flush is None or flush.alerts == []
        partition.looked_up()
    (alert,) = alerts(flushed(partition))
    assert (alert.kind, alert.registered, alert.beneficiary) == ("unregistered", None, OURS)


def test_suspects_outlive_a_crash():
    accounts = Registered()
    first = opened(accounts)
    fold(first, scan(STRANGERS))
    flush = flushed(first)
    again = opened(accounts, dict([*flush.cells, flush.own]))
    accounts.accounts["s"] = OURS
    assert [alert.payment_id for alert in alerts(flushed(again))] == ["s-1"]


def test_an_alert_that_was_lost_in_a_crash_is_raised_when_the_record_is_read_again():
    """The cell was written, the partition's own state was not: the payment is passed over, the suspicion is not."""
    accounts = Registered(s=OURS)
    first = opened(accounts)
    fold(first, payment(MARKET, "s", 1))
    before = flushed(first)
    fold(first, scan(STRANGERS, 2))
    torn = dict([*before.cells, before.own, *flushed(first).cells])
    again = opened(accounts, torn)
    assert again.next_offset == 1
    fold(again, scan(STRANGERS, 2))
    flush = flushed(again)
    assert [alert.payment_id for alert in alerts(flush)] == ["s-2"]
    assert again.fold.state.applied == 2
