"""Which days are complete, and the checkpoint behind them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from producers.progress import Progress, day_of
from producers.simulation.calendar import Day
from producers.simulation.transmission import DUPLICATE, LATE, MALFORMED, OUT_OF_ORDER
from schemas.events import SCHEMA_VERSION, Checkpoint

FIRST = Day.of(dt.date(2025, 12, 31))


@pytest.fixture
def progress() -> Progress:
    return Progress(
        Checkpoint(
            schema_version=SCHEMA_VERSION,
            run="r",
            shard="1/2",
            day="2025-12-31",
            offsets=[7, 8],
            payments=[1, 0],
            malformed=5,
        )
    )


def opened(progress: Progress, day: Day, records: int = 3, payments: tuple[int, int] = (4, 2)) -> None:
    progress.open(day, records, np.array(payments))


def test_a_checkpoint_tells_its_day(progress):
    assert day_of(progress.checkpoint) == FIRST


def test_nothing_is_closed_while_a_record_is_missing(progress):
    before = progress.checkpoint
    opened(progress, FIRST)
    progress.acknowledged(FIRST, 2)
    assert progress.closed() == []
    assert progress.checkpoint == before


def test_a_complete_day_moves_the_checkpoint_behind_it(progress):
    opened(progress, FIRST)
    progress.behind(FIRST, 1, 20)
    progress.behind(FIRST, 1, 21)
    faults = np.zeros(MALFORMED + 1, dtype=np.int64)
    faults[[DUPLICATE, OUT_OF_ORDER, LATE, MALFORMED]] = 1, 2, 3, 4
    progress.faulty(FIRST, faults)
    progress.acknowledged(FIRST, 3)
    assert progress.closed() == [FIRST]
    after = progress.checkpoint
    assert (after.day, after.offsets, after.payments) == ("2026-01-01", [7, 21], [4, 2])
    assert (after.duplicates, after.out_of_order, after.late, after.malformed) == (1, 2, 3, 9)
    assert progress.closed() == []


def test_days_close_in_order(progress):
    second, third = FIRST + 1, FIRST + 2
    opened(progress, FIRST)
    opened(progress, second, payments=(5, 2))
    opened(progress, third, records=0, payments=(5, 3))
    progress.behind(second, 0, 30)
    progress.acknowledged(second, 3)
    assert progress.closed() == []
    progress.acknowledged(FIRST, 3)
    assert progress.closed() == [FIRST, second, third]
    assert progress.checkpoint.payments == [5, 3]
    assert progress.checkpoint.offsets == [30, 8]


def test_what_a_later_day_has_reached_does_not_move_the_checkpoint_of_an_earlier_one(progress):
    opened(progress, FIRST)
    opened(progress, FIRST + 1)
    progress.behind(FIRST, 0, 10)
    progress.behind(FIRST + 1, 0, 40)
    progress.acknowledged(FIRST, 3)
    assert progress.closed() == [FIRST]
    assert progress.checkpoint.offsets == [10, 8]
