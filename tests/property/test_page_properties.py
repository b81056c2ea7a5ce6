"""What the page shows does not hang on the order in which records come, nor on how often they come."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.qr import FICTITIOUS_BANKS, build_dynamic, build_static
from services.page.adoption import RunAdoption
from services.page.feed import is_harmless
from services.page.order_book import OrderBook
from services.page.reconciliation import Balancer, LedgerSums
from tests.unit.test_adoption_view import DAY_MS, MIDNIGHT_MS, of_market, record, tally

Json = dict[str, Any]
COMMUNES = ("binh-an", "cho-moi", "tan-chau")
SECTORS = ("market_stall", "water")
METHODS = ("cash", "vietqr", "card")

counts = st.integers(0, 50)
tallies = st.dictionaries(
    st.sampled_from(METHODS),
    st.builds(tally, st.integers(1, 50), st.integers(1, 10**9), counts),
    min_size=1,
    max_size=3,
)
sectors = st.dictionaries(st.sampled_from(SECTORS), tallies, min_size=1, max_size=2)


def grown(one: Json, times: int) -> Json:
    """A record of the same window, further on."""
    return one | {"revision": one["revision"] + times, "emitted_at": times}


@st.composite
def histories(draw: st.DrawFn) -> list[Json]:
    """Records of a run: totals, days, markets' days; each window's revisions go with its content."""
    records = []
    for commune in draw(st.sets(st.sampled_from(COMMUNES), min_size=1)):
        for day in draw(st.sets(st.integers(0, 4), min_size=1, max_size=3)):
            whole = record("day", draw(sectors), day=day, commune=commune)
            market = of_market(record("day", draw(sectors), day=day, commune=commune), f"cho-{commune}")
            for one in (whole, market):
                records += [one, grown(one, 1)][: draw(st.integers(1, 2))]
        records.append(record("total", draw(sectors), commune=commune))
    return records


def shown(records: list[Json]) -> Any:
    adoption = RunAdoption()
    for one in records:
        adoption.apply(one)
    rows = adoption.commune_rows(), adoption.market_rows(), adoption.curve(), adoption.mix(), adoption.today()
    return *rows, [adoption.commune(commune) for commune in COMMUNES], adoption.payments_by_day()


@given(histories(), st.randoms(use_true_random=False))
def test_adoption_is_the_same_in_whatever_order_and_however_often_records_come(
    history: list[Json], chance: Any
) -> None:
    again = [*history, *chance.sample(history, len(history) // 2)]
    chance.shuffle(again)
    assert shown(again) == shown(history)


@given(histories())
def test_the_province_is_the_sum_of_its_communes_and_shares_are_shares(history: list[Json]) -> None:
    adoption = RunAdoption()
    for one in history:
        adoption.apply(one)
    newest: dict[tuple[str, int], Json] = {}
    for one in history:
        if one["window"] == "day" and "market" not in one:
            key = one["commune"], one["start_at"]
            newest[key] = max(newest.get(key, one), one, key=lambda document: document["revision"])
    by_day: dict[int, int] = {}
    for (_, at), one in newest.items():
        by_day[at] = by_day.get(at, 0) + sum(each["settled"] for each in one["tallies"].values())
    last = max(by_day)
    assert {at: payments for at, _, _, payments in adoption.curve()} == {
        at: payments for at, payments in by_day.items() if at != last
    }
    assert adoption.today().payments == by_day[last]
    shares = [share for _, *both, _ in adoption.curve() for share in both if share is not None]
    assert all(0 <= share <= 1 for share in shares)


days = st.integers(0, 3).map(lambda day: f"2026-01-{day + 1:02}")
entries = st.lists(
    st.tuples(st.sampled_from(COMMUNES), st.sampled_from(SECTORS), days, tallies), min_size=1, max_size=30
)


def entry(commune: str, sector: str, day: str, counted: Json) -> Json:
    cell = f"cho-{commune}" if sector == "market_stall" else f"{commune}/{sector}"
    return {"cell": cell, "commune": commune, "sector": sector, "day": day, "tallies": counted}


@given(entries, st.data())
def test_the_ledger_s_sums_are_those_of_the_last_entries_whenever_one_looks(
    told: list[Any], data: st.DataObject
) -> None:
    ledger = LedgerSums()
    last: dict[tuple[str, str], Json] = {}
    for one in (entry(*parts) for parts in told):
        ledger.learn(one)
        last[one["cell"], one["day"]] = one
        if data.draw(st.booleans()):
            ledger.settle()
    ledger.settle()
    for sector in SECTORS:
        for commune in COMMUNES:
            mine = [one for one in last.values() if (one["sector"], one["commune"]) == (sector, commune)]
            for method in METHODS:
                whole = sum(one["tallies"].get(method, {}).get("amount_vnd", 0) for one in mine)
                assert ledger.places.get((sector, commune), {}).get((method, "amount_vnd"), 0) == whole


@given(sectors, st.sampled_from(METHODS), st.sampled_from(("settled", "failed", "amount_vnd")), st.integers(1, 9))
def test_books_are_exact_if_and_only_if_they_are_equal(
    counted: dict[str, Json], method: str, measure: str, more: int
) -> None:
    ledger = LedgerSums()
    for sector, by_method in counted.items():
        ledger.learn(entry("binh-an", sector, "2026-01-01", by_method))
    total = record("total", counted)
    stalls = [counted["market_stall"]] if "market_stall" in counted else []
    markets = [of_market(record("total", {"market_stall": one}), "cho-binh-an") for one in stalls]
    assert Balancer().compare(ledger, [total], markets, {}, 0.0).state == "exact"
    sector = next(iter(counted))
    wrong = {method: tally(0, 0)} | counted[sector]
    wrong |= {method: wrong[method] | {measure: wrong[method][measure] + more}}
    ledger.learn(entry("binh-an", sector, "2026-01-01", wrong))
    balance = Balancer().compare(ledger, [total], markets, {MIDNIGHT_MS + DAY_MS: (0, 0)}, 0.0)
    assert balance.state != "exact"
    assert balance.differing == (2 if sector == "market_stall" else 1)


orders = st.lists(
    st.one_of(
        st.builds(
            lambda number, at: {
                "kind": "intervention", "id": f"o-{number}", "ordered_at": at, "intervention": {"kind": "tet"},
            },
            st.integers(0, 5),
            st.just(7),
        ),
        st.builds(
            lambda number, shard: {
                "kind": "applied", "id": f"o-{number}", "shard": f"{shard}/3", "from_day": f"2026-01-0{shard}",
            },
            st.integers(0, 5),
            st.integers(1, 3),
        ),
    ),
    max_size=20,
)  # fmt: skip


@given(orders, st.randoms(use_true_random=False))
def test_orders_and_answers_may_come_in_any_order(records: list[Json], chance: Any) -> None:
    def rows(of: list[Json]) -> list[Json]:
        book = OrderBook()
        for one in of:
            book.learn(one)
        return book.rows()

    again = [*records, *records[:3]]
    chance.shuffle(again)
    assert rows(again) == rows(records)


@given(
    st.sampled_from(sorted(FICTITIOUS_BANKS)),
    st.from_regex(r"SIM[0-9A-Z]{1,16}", fullmatch=True),
    st.integers(1, 10**9),
)
def test_whatever_code_we_build_is_harmless(bank: str, account: str, amount: int) -> None:
    assert is_harmless(build_static(account=account, bin=bank))
    assert is_harmless(build_dynamic(account=account, bin=bank, amount_vnd=amount))


@given(
    st.text(max_size=120), st.from_regex(r"97[0-9]{4}", fullmatch=True), st.from_regex(r"[0-9]{6,15}", fullmatch=True)
)
def test_no_text_and_no_code_of_a_real_bank_is_harmless(text: str, bank: str, account: str) -> None:
    assert not is_harmless(text)
    assert not is_harmless(build_static(account=account, bin=bank, allow_real=True))
    assert not is_harmless(build_static(account=f"SIM{account}", bin=bank, allow_real=True))
    assert not is_harmless(build_static(account=account, bin="999001", allow_real=True))
