"""What interventions in force make of a day: outages, shocks, feasts, swapped codes, and whom they reach."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from producers.simulation.adoption import AdoptionModel
from producers.simulation.conditions import Conditions, ConditionsModel, stall_ranks
from tests.province_days import within
from tests.sector_days import conditions, day
from tests.worlds import FEW, world

if TYPE_CHECKING:
    from producers.simulation.world import World

START = day("2025-11-17")
HOUR = 3_600_000


def figure(value: object) -> dict[str, object]:
    return {"value": value, "source": "assumed"}


def row(kind: str, **values: Any) -> dict[str, Any]:
    """An intervention called ``test``; numbers and lists of them are figures."""
    plain = {"place", "start", "end", "scope", "then"}
    return {"id": "test", "kind": kind, "source": "assumed"} | {
        name: value if name in plain else figure(value) for name, value in values.items()
    }


def outage(start: str, end: str, then: str = "retry", place: tuple[str, ...] = ()) -> dict[str, Any]:
    times = (dt.datetime.fromisoformat(one) for one in (start, end))
    both = dict(zip(("start", "end"), times, strict=True))
    return row("outage", scope="network", then=then, retry_after_seconds=900.0, place=place, **both)


def of(*rows: dict[str, Any], **more: Any) -> World:
    return world(FEW | more | {"intervention": list(rows)})


def on(found: World, date: str) -> Conditions:
    """The conditions of a day, adoption as it is at the start."""
    adoption = conditions(found, day(date)).adoption
    stalls = np.array([market.sources for market in found.markets])
    return ConditionsModel(found).on(replace(adoption, stalls=stalls, showing=stalls // 2, using=stalls // 4))


def reached_cells(found: World, places: set[str], sectors: set[str]) -> list[bool]:
    return [
        cell.sector in sectors and bool({cell.id, found.places[cell.commune].id} & places or not places)
        for cell in found.cells
    ]


# -- a quiet day ---------------------------------------------------------------------------------------------


def test_without_interventions_nothing_is_moved():
    found = on(of(), "2026-02-10")
    assert (found.demand_factor == 1).all()
    assert (found.choice_logits == 0).all()
    assert (found.outages, found.swapped) == ((), None)
    assert found.active_share == pytest.approx(np.full(7, 0.5))


def test_stalls_accept_by_rank_and_all_other_tills_do():
    small = world()
    found = on(small, "2025-11-17")
    for cell in small.cells:
        accepts = found.accepts[cell.first_source : cell.first_source + cell.sources]
        assert accepts.sum() == (cell.sources // 4 if cell.sector == "market_stall" else 1)


def test_who_uses_a_code_shows_one_and_ranks_are_orders_of_each_market():
    small = world()
    model, ranks = ConditionsModel(small), stall_ranks(small)
    for cell in small.cells_of("market_stall"):
        assert sorted(ranks[cell.first_source :][: cell.sources].tolist()) == list(range(cell.sources))
    for _, adoption in zip(range(300), AdoptionModel(small).days(), strict=False):
        using, showing, shows = model.using(adoption), model.showing(adoption), model.shows_code(adoption)
        assert not (using & ~showing).any()
        assert (showing == (shows & (small.market_of_source >= 0))).all()
        assert (shows[small.market_of_source < 0] == small.is_counter[small.market_of_source < 0]).all()
        for market in small.cells_of("market_stall"):
            part = slice(market.first_source, market.first_source + market.sources)
            assert showing[part].sum() == adoption.showing[market.market]
            assert using[part].sum() == adoption.using[market.market]


def test_ranks_are_the_same_whatever_the_shard():
    whole = dict(zip(world().source_ids, stall_ranks(world()).tolist(), strict=True))
    for index in (1, 2, 3):
        shard = world(shard=(index, 3))
        for name, rank in zip(shard.source_ids, stall_ranks(shard).tolist(), strict=True):
            assert whole[name] == rank


# -- feasts and market days ----------------------------------------------------------------------------------

TET = {"factor": 1.5, "days_before": 10, "holiday_factor": 0.25, "holiday_days": 3}
"""Tết of 2026 is 17 February."""


@pytest.mark.parametrize(
    ("date", "factor"),
    [
        ("2026-02-06", 1.0),
        ("2026-02-07", 1.5),
        ("2026-02-16", 1.5),
        ("2026-02-17", 0.25),
        ("2026-02-19", 0.25),
        ("2026-02-20", 1.0),
    ],
)
@pytest.mark.parametrize("place", [(), ("an-minh", "kien-luong")])
def test_tet_moves_purchases_of_the_places_it_is_for(date, factor, place):
    found = of(row("tet", place=place, **TET))
    moved = reached_cells(found, set(place), {"market_stall", "ecommerce"})
    expected = [factor if one else 1.0 for one in moved]
    assert on(found, date).demand_factor.tolist() == expected
    assert any(moved)


def test_market_days_move_the_markets_they_name_and_times_multiply():
    """17 February 2026 is the first of the first month."""
    rows = [row("lunar_market_days", place=place, days=[1, 7], factor=2.0) for place in (("tron",), ())]
    rows[1]["id"] = "everywhere"
    found = of(*rows, row("tet", **TET) | {"id": "tet"})
    factors = dict(zip([cell.id for cell in found.cells], on(found, "2026-02-17").demand_factor, strict=True))
    assert (factors["tron"], factors["cong-su"]) == (1.0, 0.5)  # 2 · 2 · 1/4, 2 · 1/4
    assert (factors["an-minh/ecommerce"], factors["an-minh/hospital"]) == (0.25, 1.0)
    assert on(found, "2026-02-18").demand_factor.tolist() == [
        0.25 if moved else 1.0 for moved in reached_cells(found, set(), {"market_stall", "ecommerce"})
    ]


# -- shocks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("date", "logits"), [("2025-11-30", 0.0), ("2025-12-01", 0.7), ("2025-12-02", 0.0)])
def test_a_shortage_of_cash_moves_the_choice_while_it_lasts_where_it_is(date, logits):
    shock = row(
        "cash_shock",
        place=("an-minh",),
        start=dt.date(2025, 12, 1),
        end=dt.date(2025, 12, 2),
        choice=0.7,
        hazard=2.0,
    )
    assert on(of(shock), date).choice_logits.tolist() == [0.0, logits, *[0.0] * 5]
    assert on(of(shock, shock | {"id": "other", "place": ()}), date).choice_logits.tolist() == pytest.approx(
        [logits, 2 * logits, *[logits] * 5]
    )


# -- outages -------------------------------------------------------------------------------------------------


def test_an_outage_is_on_the_days_it_touches_in_local_time():
    found = of(outage("2025-11-18T22:30:00.500", "2025-11-20T00:00:00"))
    seen = {date: on(found, date).outages for date in ("2025-11-17", "2025-11-18", "2025-11-19", "2025-11-20")}
    assert [len(outages) for outages in seen.values()] == [0, 1, 1, 0]
    (one,) = seen["2025-11-18"]
    assert one.begin_at == day("2025-11-18").midnight_at + 22 * HOUR + HOUR // 2 + 500
    assert one.end_at == day("2025-11-20").midnight_at
    assert one.sources.all()
    assert one.retry_seconds == 900.0
    begin = dt.datetime(2025, 11, 18, 15, 30, tzinfo=dt.UTC)
    assert one.begin_at == begin.timestamp() * 1000 + 500


def test_tills_are_out_from_begin_to_end_where_the_outage_is():
    found = of(outage("2025-11-18T09:00:00", "2025-11-18T10:00:00", "cash", ("tron", "an-minh")))
    today = on(found, "2025-11-18")
    (one,) = today.outages
    assert one.retry_seconds is None
    cells = [found.cells[cell] for cell in found.cell_of_source.tolist()]
    expected = [cell.id == "tron" or found.places[cell.commune].id == "an-minh" for cell in cells]
    assert one.sources.tolist() == expected
    assert 0 < sum(expected) < len(expected)
    sources = np.arange(found.source_count)
    for at, out in ((one.begin_at - 1, False), (one.begin_at, True), (one.end_at - 1, True), (one.end_at, False)):
        assert today.out(sources, np.full(len(sources), at)).tolist() == [out and reached for reached in expected]


# -- swapped codes -------------------------------------------------------------------------------------------


def wave(stalls: float = 0.4, place: tuple[str, ...] = ()) -> dict[str, Any]:
    return row("fraud_wave", start=dt.date(2025, 12, 1), end=dt.date(2025, 12, 3), stalls=stalls, place=place)


def test_a_wave_swaps_codes_that_are_shown_while_it_lasts():
    found = of(wave(1.0, ("tron",)))
    assert [on(found, f"2025-{date}").swapped is None for date in ("11-30", "12-01", "12-02", "12-03")] == [
        True,
        False,
        False,
        True,
    ]
    today = on(found, "2025-12-01")
    tron = found.cells[1]
    showing = ConditionsModel(found).showing(today.adoption)
    assert today.swapped is not None
    assert today.swapped.tolist() == [
        float(tron.first_source <= source < tron.first_source + tron.sources and showing[source])
        for source in range(found.source_count)
    ]
    assert today.swapped.sum() == tron.sources // 2


def test_a_share_of_stalls_is_swapped_the_same_ones_whatever_the_shard():
    wide = {"markets.stalls_median.value": 400.0}
    found = of(wave(0.4), **wide)
    adoption = replace(on(found, "2025-12-01").adoption, showing=np.array([m.sources for m in found.markets]))
    swapped = ConditionsModel(found).on(adoption).swapped
    assert swapped is not None
    stalls = found.market_of_source >= 0
    assert within(float(swapped[stalls].mean()), 0.4, int(stalls.sum()))
    assert not swapped[~stalls].any()
    whole = dict(zip(found.source_ids, swapped.tolist(), strict=True))
    for index in (1, 2):
        shard = world(FEW | wide | {"intervention": [wave(0.4)]}, shard=(index, 2))
        part = ConditionsModel(shard).on(adoption).swapped
        assert part is not None
        assert dict(zip(shard.source_ids, part.tolist(), strict=True)).items() <= whole.items()


def test_warnings_make_fraud_rarer_where_they_are_heard():
    warning = row(
        "scam_warning",
        place=("kien-luong",),
        start=dt.date(2025, 12, 2),
        end=dt.date(2025, 12, 9),
        hazard=1.0,
        fraud=0.25,
    )
    found = of(wave(1.0), warning | {"id": "look"})
    before, during = (on(found, f"2025-12-0{number}").swapped for number in (1, 2))
    assert before is not None
    assert during is not None
    heard = np.array([found.places[commune].id == "kien-luong" for commune in found.commune_of_source.tolist()])
    assert during.tolist() == np.where(heard, before * 0.25, before).tolist()
    assert during[heard].any()
    assert on(of(warning), "2025-12-02").swapped is None
