"""Producers that crash anywhere and start again: topics and ledger are those of a run that went through."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from producers import books
from producers.engine import ProvinceSimulation, UnnumberedDay
from producers.plan import Plan
from producers.session import Produced
from producers.simulation.world import World, build_world
from schemas.errors import BadInputError
from schemas.events import STATUSES, decode_payment
from schemas.topics import CELLS, LEDGER, QR_CODES, TRUTH
from tests.played_broker import PARTITIONS, Broker, newest, produce_from, values, without_repeats
from tests.small import small

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS, RUN = 3, "r"


@cache
def the_world() -> World:
    return build_world(small(), 1)


@cache
def the_days() -> list[UnnumberedDay]:
    return list(ProvinceSimulation(the_world()).unnumbered(DAYS + 1))


class Remembered:
    """The simulation, made once for all examples."""

    def __init__(self, world: World) -> None:
        assert world is the_world()

    def unnumbered(self, days: int | None = None, part: tuple[int, int] = (0, 1)) -> Iterator[UnnumberedDay]:
        assert part[1] == 1
        return islice(the_days(), part[0], days)


def produce(broker: Broker, *, life: int = 10**9, stop_after: int = 0, said: list[str] | None = None, **plan: Any):
    """Run one process of the run to its end, or until it crashes."""
    world, partitions = plan.pop("world", the_world()), plan.pop("partitions", PARTITIONS)
    made = Plan(world, RUN, **{"days": DAYS, **plan})
    more = {"partitions": partitions, "said": said, "simulation": Remembered}
    return produce_from(broker, made, life=life, stop_after=stop_after, **more)


@cache
def whole() -> tuple[Broker, Produced]:
    """What an uninterrupted run leaves."""
    broker = Broker(Random(0))
    done = produce(broker)
    assert done is not None
    return broker, done


def check_topics(broker: Broker) -> None:
    reference, _ = whole()
    for partition in range(PARTITIONS):
        found, wanted = values(broker, partition), values(reference, partition)
        if broker.keeps_sequences:
            assert found == wanted
        else:
            assert without_repeats(found, wanted) == wanted
            assert set(found) == set(wanted)
    for topic in (QR_CODES, TRUTH, CELLS, LEDGER):
        assert newest(broker, topic) == newest(reference, topic), topic


def check_ledger(broker: Broker) -> None:
    """The ledger has what is on the topic, each payment once."""
    paid: dict[tuple[str, int], Any] = {}
    for partition in range(PARTITIONS):
        for value in values(broker, partition):
            if value.endswith(b"}"):
                payment = decode_payment(value)
                paid[payment.source, payment.sequence] = payment
    wanted: Counter[tuple[str, str, str]] = Counter()
    for payment in paid.values():
        wanted[payment.cell, payment.method, payment.status] += 1
    told: Counter[tuple[str, str, str]] = Counter()
    for entry in newest(broker, LEDGER).values():
        for method, tally in entry.get("tallies", {}).items():
            for status in STATUSES:
                told[entry["cell"], method, status] += tally[status]
    assert +told == wanted
    check_that_no_entry_goes_back(broker)


def check_that_no_entry_goes_back(broker: Broker) -> None:
    """No process tells less than one before it."""
    reached: dict[bytes, int] = {}
    for record in broker.logs[LEDGER, 0]:
        entry = json.loads(record.value)
        if entry["kind"] == "cell_day":
            payments = sum(one[status] for one in entry["tallies"].values() for status in STATUSES)
            assert payments >= reached.get(record.key, 0)
            reached[record.key] = payments


processes = st.lists(st.tuples(st.sampled_from(["crash", "stop"]), st.integers(1, 150)), max_size=5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), processes, st.booleans())
@example(1, [("crash", 1)] * 5, True)
@example(2, [("crash", 3), ("crash", 4), ("stop", 40), ("crash", 60)], False)
def test_a_run_of_many_processes_is_as_one_that_went_through(chance, lives, keeps_sequences):
    broker = Broker(Random(chance), keeps_sequences=keeps_sequences)
    for how, life in lives:
        done = produce(broker, life=life) if how == "crash" else produce(broker, stop_after=life)
        if done is not None:
            check_ledger(broker)
        check_that_no_entry_goes_back(broker)
    last = produce(broker)
    assert last is not None
    assert last.produced == last.acked == whole()[1].acked
    check_topics(broker)
    check_ledger(broker)
    said = list[str]()
    again = produce(broker, said=said)
    assert again.produced == again.behind == last.acked
    assert said == [f"run {RUN} is complete: {again.behind:,} payments are there, nothing is sent"]
    check_topics(broker)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_a_run_may_be_given_more_days_and_fewer(chance, life):
    broker = Broker(Random(chance))
    assert produce(broker, days=DAYS - 1) is not None
    longer = produce(broker, life=life)
    shorter = produce(broker, days=1)
    if longer is None:
        assert shorter.produced == shorter.behind
    check_ledger(broker)
    produce(broker)
    check_topics(broker)


def test_it_is_said_where_a_run_goes_on():
    broker, said = Broker(Random(5)), list[str]()
    assert produce(broker, life=60) is None
    done = produce(broker, said=said)
    assert len(said) == 1
    assert said[0].startswith(f"resumes run {RUN} on 2025-12-3")
    assert said[0].endswith(f" behind {done.behind:,} payments")
    assert 0 < done.behind < whole()[1].acked


def test_days_that_are_complete_leave_the_ledger_and_the_simulation_begins_behind_them(monkeypatch):
    broker = Broker(Random(6))
    produce(broker, days=2)
    begun = []
    plain = Remembered.unnumbered
    monkeypatch.setattr(
        Remembered, "unnumbered", lambda *args, **more: begun.append(more["part"]) or plain(*args, **more)
    )
    ledgers = []
    monkeypatch.setattr(books, "Ledger", lambda *args: ledgers.append(made := plain_ledger(*args)) or made)
    third = produce(broker)
    assert third.acked > third.behind > 0
    assert begun == [(2, 1)]
    assert ledgers[0]._days == {}


plain_ledger = books.Ledger


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({"world": lambda: build_world(small(), 2)}, "seed 1, now 2"),
        ({"shard": "2/3"}, "cut into 1 shards"),
        ({"partitions": PARTITIONS + 1}, "had 3 partitions when the run began, and has 4"),
    ],
)
def test_another_run_of_the_same_name_is_refused(plan, found):
    broker = Broker(Random(7))
    produce(broker, life=60)
    before = {place: list(log) for place, log in broker.logs.items()}
    with pytest.raises(BadInputError, match=found):
        produce(broker, **{name: value() if callable(value) else value for name, value in plan.items()})
    assert broker.logs == before


def test_a_run_that_left_no_checkpoint_is_refused_if_it_has_payments():
    broker = Broker(Random(8))
    produce(broker)
    ledger = broker.logs[LEDGER, 0]
    broker.logs[LEDGER, 0] = [one for one in ledger if b"|checkpoint|" not in one.key]
    with pytest.raises(BadInputError, match="left no checkpoint"):
        produce(broker)
    broker.logs[LEDGER, 0] = [one for one in ledger if one.key == RUN.encode()]  # it was killed before any payment
    assert produce(broker).behind == 0
