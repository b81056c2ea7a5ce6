"""The page's adoption: newest days, ranks, curves and the mix, from the records of the topics."""

from __future__ import annotations

from typing import Any

from services.page.adoption import MAX_DAYS, RunAdoption
from tests.unit.test_adoption_view import DAY_MS, MIDNIGHT_MS, of_market, record, tally

Json = dict[str, Any]
STALLS = {"market_stall": {"cash": tally(3, 300_000), "vietqr": tally(1, 100_000)}}
MIXED = {"water": {"card": tally(2, 50_000)}, "market_stall": {"cash": tally(2, 150_000)}}


def cell(market: str = "", commune: str = "binh-an") -> Json:
    return {
        "run": "run-1",
        "cell": market or f"{commune}/water",
        "kind": "market" if market else "commune_sector",
        "name": f"Chợ {market}",
        "commune": commune,
        "commune_name": f"Xã {commune}",
        "province": "an-giang",
        "province_name": "An Giang",
        "sector": "market_stall" if market else "water",
        "sources": 7,
    }


def learnt(*documents: Json, cells: tuple[Json, ...] = ()) -> RunAdoption:
    adoption = RunAdoption()
    for one in cells:
        adoption.announce(one)
    for document in documents:
        adoption.apply(document)
    return adoption


def test_a_commune_shows_its_newest_day_by_name() -> None:
    adoption = learnt(record("day", STALLS), record("day", MIXED, day=1), cells=(cell(), cell(commune="cho-moi")))
    assert adoption.day_at == MIDNIGHT_MS + DAY_MS
    paying, quiet = adoption.commune_rows()
    assert (paying["name"], paying["payments"], paying["amount_vnd"]) == ("Xã binh-an", 4, 200_000)
    assert (paying["share_count"], paying["share_value"]) == (0.5, 0.25)
    assert (quiet["name"], quiet["payments"], quiet["share_count"]) == ("Xã cho-moi", 0, None)


def test_the_newest_day_of_the_province_counts_only_communes_that_have_reached_it() -> None:
    adoption = learnt(record("day", STALLS), record("day", MIXED, day=1, commune="cho-moi"))
    assert (adoption.today().payments, adoption.today().amount_vnd) == (4, 200_000)
    assert adoption.curve() == [(MIDNIGHT_MS, 0.25, 0.25, 4)]
    assert {row["id"]: row["share_count"] for row in adoption.commune_rows()} == {"binh-an": 0.25, "cho-moi": 0.5}


def test_days_become_a_curve_of_the_province_and_of_each_commune() -> None:
    days = [record("day", STALLS, day=day) for day in range(3)]
    other = record("day", MIXED, commune="cho-moi")
    adoption = learnt(*days, other)
    assert [point[0] for point in adoption.curve()] == [MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS]
    assert adoption.curve()[0] == (MIDNIGHT_MS, 3 / 8, 0.25, 8)
    assert adoption.curve("binh-an")[0] == (MIDNIGHT_MS, 0.25, 0.25, 4)
    assert adoption.curve("cho-moi") == [(MIDNIGHT_MS, 0.5, 0.25, 4)]


def test_a_day_that_grows_after_the_next_one_has_begun_moves_the_curve() -> None:
    adoption = learnt(record("day", STALLS), record("day", STALLS, day=1))
    more = {"market_stall": {"cash": tally(3, 300_000), "vietqr": tally(3, 300_000)}}
    adoption.apply(record("day", more))
    assert adoption.curve() == [(MIDNIGHT_MS, 0.5, 0.5, 6)]
    adoption.apply(record("day", STALLS))  # a late write of a worker that lost its partition
    assert adoption.curve() == [(MIDNIGHT_MS, 0.5, 0.5, 6)]


def test_no_more_days_are_kept_than_may_be() -> None:
    adoption = learnt(*(record("day", STALLS, day=day) for day in range(MAX_DAYS + 5)))
    assert len(adoption.curve()) == MAX_DAYS
    assert adoption.curve()[-1][0] == MIDNIGHT_MS + (MAX_DAYS + 3) * DAY_MS


def test_markets_are_ranked_by_share_and_then_by_payments() -> None:
    few = {"market_stall": {"cash": tally(1, 100_000)}}
    adoption = learnt(
        of_market(record("day", few), "cho-a"),
        of_market(record("day", {"market_stall": {"cash": tally(9, 1000)}}), "cho-b"),
        of_market(record("day", STALLS), "cho-c"),
        cells=(cell("cho-a"), cell("cho-c"), cell("cho-d")),
    )
    rows = adoption.market_rows()
    assert [row["id"] for row in rows] == ["cho-c", "cho-b", "cho-a", "cho-d"]
    assert rows[0]["name"] == "Chợ cho-c"
    assert rows[0]["stalls"] == 7
    assert rows[1]["name"] == "cho-b"  # not announced yet


def test_the_mix_sums_totals_by_sector_and_method() -> None:
    total = record("total", STALLS | {"water": {"card": tally(1, 9000, failed=5)}})
    adoption = learnt(total, record("total", STALLS, commune="cho-moi"))
    assert adoption.mix() == {
        "market_stall": {"cash": (6, 600_000), "vietqr": (2, 200_000)},
        "water": {"card": (1, 9000)},
    }
    assert adoption.mix("cho-moi") == {"market_stall": {"cash": (3, 300_000), "vietqr": (1, 100_000)}}


def test_one_commune_has_everything_of_its_own_and_a_stranger_is_none() -> None:
    adoption = learnt(record("day", STALLS), of_market(record("day", STALLS)), cells=(cell("cho-binh-an"),))
    commune = adoption.commune("binh-an")
    assert commune is not None
    assert commune["day_at"] == MIDNIGHT_MS
    assert [market["id"] for market in commune["markets"]] == ["cho-binh-an"]
    assert adoption.commune("atlantis") is None
