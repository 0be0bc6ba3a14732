"""Report: figures, text, JSON, frames, and its way into a store and back."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from closingbell.core.bar import Bar, Dividend, Split
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import BacktestError, UnknownAccount, UnknownBacktest
from closingbell.core.ledger import Snapshot
from closingbell.simulation.account_report import periods_per_year
from closingbell.simulation.benchmark import buy_and_hold
from closingbell.simulation.firing import FiringSpool
from closingbell.simulation.plain import decimal_text, plain
from closingbell.simulation.provenance import describe_data
from closingbell.simulation.report import Report, read_report, report_of
from closingbell.simulation.result import AccountResult, SimulationResult
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.money import Money
from closingbell.trading.terms import AccountTerms
from tests.unit.simulation.example import (
    TRADER,
    WATCHER,
    MemoryBacktests,
    shipped_bars,
    trend_result,
)


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(trend_result(), name="trend")


def empty_result(**given: Any) -> SimulationResult:
    values: dict[str, Any] = {
        "start": 0,
        "end": 1,
        "seed": 0,
        "timezone": "UTC",
        "parameters": {},
        "accounts": {"main": AccountResult(terms=AccountTerms())},
        "tasks": {},
        "firings": FiringSpool(0),
        **given,
    }
    return SimulationResult(**values)


# --- what it says ------------------------------------------------------------------------


def test_report_says_what_the_simulation_left_behind(report: Report) -> None:
    assert report.metrics.initial_value == 100_000
    assert report.metrics.final_value == report.equity[-1].value
    assert report.metrics.profit == sum(trip.pnl for trip in report.round_trips)
    assert len(report.trades) == len(report.orders) == 110
    assert report.positions == []
    assert report.account().cash == {"USD": report.equity[-1].value}
    assert report.tasks[TRADER].failed == 1
    assert report.firing_count == sum(1 for _ in report.firings())
    assert next(report.firings()).task == WATCHER


def test_equity_points_carry_the_fall_from_the_peak(report: Report) -> None:
    depths = [point.drawdown for point in report.equity]
    assert min(depths) == report.metrics.max_drawdown
    peak = Decimal(0)
    for point in report.equity:
        peak = max(peak, point.value)
        assert point.drawdown == pytest.approx(float(point.value / peak) - 1, abs=1e-12)


def test_what_is_held_at_the_end_is_valued_at_the_last_price() -> None:
    report = report_of(trend_result(end="2012-02-15T18:00:00-05:00"))
    held = report.positions
    assert [each.symbol for each in held] == ["IBM", "MSFT"]
    worth = sum(each.value for each in held if each.value is not None)
    assert worth + report.account().cash["USD"] == report.equity[-1].value
    unrealized = sum(each.unrealized for each in held if each.unrealized is not None)
    assert unrealized == report.equity[-1].unrealized


def test_position_without_a_price_has_no_value() -> None:
    result = trend_result(end="2012-02-15T18:00:00-05:00")
    bare = replace(result.accounts["main"], prices={})
    held = report_of(replace(result, accounts={"main": bare})).positions
    assert [each.value for each in held] == [None, None]


def test_account_without_a_name_is_main_or_else_the_first() -> None:
    accounts = {
        name: AccountResult(terms=AccountTerms(name=name, currency=currency))
        for name, currency in (("hedge", "EUR"), ("main", "USD"))
    }
    report = report_of(empty_result(accounts=accounts))
    assert report.currency == "USD"
    assert report.account("hedge").currency == "EUR"
    alone = report_of(empty_result(accounts={"hedge": accounts["hedge"]}))
    assert alone.currency == "EUR"
    with pytest.raises(UnknownAccount, match="hedge"):
        report.account("hedgee")


def test_simulation_that_did_nothing_has_a_report_without_figures() -> None:
    report = report_of(empty_result())
    assert report.metrics.total_return is None
    assert list(report.firings()) == []
    assert "backtest" in report.summary()
    assert json.loads(report.to_json())["firings"]["count"] == 0


def test_trades_in_another_currency_are_left_out_of_money_and_said_so() -> None:
    def fill(seq: int, quantity: int, price: int, currency: str, symbol: str) -> Entry:
        amount = Decimal(-quantity * price)
        return Entry(
            "main", seq, EntryKind.FILL, seq, currency, amount, Decimal(1), symbol,
            Decimal(quantity), Decimal(price),
        )  # fmt: skip

    from closingbell.core.book import Book

    entries = [
        Entry("main", 1, EntryKind.CASH, 0, "USD", Decimal(1000)),
        fill(2, 1, 100, "USD", "AAPL"),
        fill(3, 1, 100, "EUR", "BTC/EUR"),
        fill(4, -1, 150, "USD", "AAPL"),
        fill(5, -1, 900, "EUR", "BTC/EUR"),
    ]
    book = Book()
    trips = [trip for trip in map(book.apply, entries) if trip is not None]
    account = AccountResult(terms=AccountTerms(), entries=entries, round_trips=trips)
    report = report_of(empty_result(accounts={"main": account}))
    assert (report.metrics.round_trips, report.metrics.best_trip) == (1, Decimal(48))
    assert report.metrics.traded == 250
    assert report.metrics.fees == 2
    assert len(report.round_trips) == 2
    assert "EUR" in report.account().notes[0]


def test_keys_of_an_exchange_are_not_told() -> None:
    options = (("fee", "0.1%"), ("key", "k-123"), ("secret", "s-456"), ("password", "p-789"))
    terms = AccountTerms(broker="ccxt", options=options)
    report = report_of(empty_result(accounts={"main": AccountResult(terms=terms)}))
    stored = b"".join(zlib.decompress(page) for page in report.pages()["document"])
    for told in (report.to_json(), stored):
        assert b'"fee":"0.1%"' in told
        assert not any(secret in told for secret in (b"k-123", b"s-456", b"p-789"))


def test_venues_that_never_close_have_more_days_a_year() -> None:
    assert [periods_per_year(name) for name in ("XNYS", "nyse", "24/7", "crypto")] == [
        252, 252, 365, 365,
    ]  # fmt: skip


# --- text ---------------------------------------------------------------------------------


def test_summary_has_figures_tasks_and_notes(report: Report) -> None:
    text = report.summary()
    assert text.startswith(f"trend ({report.id}): 2003-03-03 00:00 to 2012-12-31 18:00, seed 7\n")
    for line in (
        "Total return            27.30%",
        "Maximum drawdown       -22.13%",
        "Drawdown peak       2004-01-26",
        "trend_follower    466    465       1    2,012  not a Monday (2,012)",
        "- not done in a backtest: backup_database (12)",
    ):
        assert line in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_summary_shows_a_benchmark_beside_the_account() -> None:
    result = trend_result()
    account = result.accounts["main"]
    curve = buy_and_hold(
        shipped_bars(),
        ["IBM", "MSFT"],
        "1d",
        [point.at for point in account.snapshots],
        account.terms.cash,
    )
    report = report_of(result, benchmarks={"main": curve})
    lines = report.summary().splitlines()
    assert any(line.endswith("main, USD  buy and hold IBM, MSFT") for line in lines)
    win_rate = next(line for line in lines if "Win rate" in line)
    assert win_rate.split()[-2:] == ["32.73%", "-"]


# --- bytes --------------------------------------------------------------------------------


def test_same_result_gives_the_same_bytes(report: Report) -> None:
    again = report_of(trend_result(), name="trend")
    assert again.to_json() == report.to_json()
    assert again.pages() == report.pages()
    assert again.record(0, 0) == report.record(0, 0)


def test_machine_times_and_what_tasks_print_are_outside_of_the_bytes(report: Report) -> None:
    result = trend_result()
    printed = result.failures[0]._replace(logs=[("stdout", "<object at 0x7f00>")])
    other = replace(result, machine_s=99.0, task_machine_s={}, failures=[printed])
    assert report_of(other, name="trend").to_json() == report.to_json()


def test_id_is_made_from_inputs_and_seed(report: Report) -> None:
    same = report_of(trend_result(), name="trend")
    others = [
        report_of(trend_result(), name="another"),
        report_of(trend_result(seed=8), name="trend"),
        report_of(trend_result(days=50), name="trend"),
        report_of(trend_result(cash=Decimal(1)), name="trend"),
    ]
    assert same.id == report.id
    assert len({report.id, *(other.id for other in others)}) == 5


def test_json_is_canonical_and_holds_amounts_as_decimal_text(report: Report) -> None:
    text = report.to_json()
    document = json.loads(text)
    assert text == msgspec.json.encode(document, order="sorted")
    main = document["accounts"]["main"]
    assert main["metrics"]["initial_value"] == "100000"
    assert main["equity"][0]["value"] == "100000"
    assert main["orders"][0]["side"] == "buy"
    assert document["firings"]["count"] == report.firing_count


def test_task_ledger_is_told_by_its_digest(report: Report) -> None:
    result = trend_result()
    result.firings.add((result.end, TRADER, None, 10_000, "success", None, 1, 0))
    longer = report_of(result, name="trend")
    assert longer.to_dict()["firings"] != report.to_dict()["firings"]


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0E-8", "0"), ("-0", "0"), ("1.500", "1.5"), ("-0.10", "-0.1")],
)
def test_amounts_are_written_without_exponents_and_idle_zeros(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text


def test_plain_values_of_everything_are_json() -> None:
    point = Snapshot("main", 1, *[Decimal(1)] * 7)
    assert plain({"at": point, "who": {"b", "a"}, "kind": EntryKind.FILL, "odd": object})["at"][
        "value"
    ] == ("1")
    assert plain({"b", "a"}) == ["a", "b"]
    assert plain(EntryKind.FILL) == "fill"


# --- frames -------------------------------------------------------------------------------


def test_tables_become_frames(report: Report) -> None:
    equity = report.to_frame("equity")
    assert len(equity) == len(report.equity)
    assert equity["value"].iloc[-1] == pytest.approx(127_299.0775)
    assert equity["at"].iloc[0].to_pydatetime() == datetime(2003, 3, 3, 5, tzinfo=UTC)
    assert set(report.to_frame("trades")["task"]) == {TRADER}
    assert len(report.to_frame("firings", library="pyarrow")) == report.firing_count
    assert report.to_frame("orders", library="pyarrow").column("side")[0].as_py() == "buy"
    assert report.to_frame("round_trips")["pnl"].sum() == pytest.approx(27_299.0775)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"table": "prices"}, "equity, trades"),
        ({"library": "numpy"}, "pandas, polars"),
        ({"library": "polars"}, "an installed one"),
    ],
)
def test_frame_that_cannot_be_made_is_refused(
    report: Report, given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # polars may be installed where this runs; None in sys.modules is how Python says it is not.
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(BacktestError, match=said):
        report.to_frame(**given)


# --- in a store ---------------------------------------------------------------------------


def test_stored_report_reads_back_as_it_was(report: Report) -> None:
    backtests = MemoryBacktests()
    stored = backtests.put(report.record(1, 2), report.pages())
    again = read_report(backtests, stored[:6])
    assert again.id == report.id == stored
    assert again.to_json() == report.to_json()
    assert again.accounts == report.accounts
    assert list(again.firings()) == list(report.firings())
    assert again.failures == report.failures
    assert again.summary() == report.summary()


def test_record_has_what_a_list_shows(report: Report) -> None:
    record = report.record(5, 9)
    assert (record.id, record.name) == (report.id, "trend")
    assert (record.started_at, record.finished_at) == (5, 9)
    assert record.summary["metrics"]["profit"] == "27299.0775"
    assert json.loads(json.dumps(record.summary)) == record.summary


def test_another_result_of_the_same_inputs_gets_a_number(report: Report) -> None:
    backtests = MemoryBacktests()
    first = backtests.put(report.record(1, 2), report.pages())
    changed = trend_result()
    changed.notes = ["the task's code has changed"]
    second = report_of(changed, name="trend")
    assert second.id == report.id
    stored = backtests.put(second.record(3, 4), second.pages())
    assert stored == f"{first}-2"
    assert read_report(backtests, stored).id == stored
    assert read_report(backtests, stored).notes == changed.notes


def test_unknown_backtest_is_not_found() -> None:
    with pytest.raises(UnknownBacktest):
        read_report(MemoryBacktests(), "nothing")


def test_amounts_from_the_algorithm_door_can_be_stored() -> None:
    result = trend_result()
    account = result.accounts["main"]
    orders = [replace(account.orders[0], quantity=Money("1.5"), filled=Money("1.5"))]
    report = report_of(replace(result, accounts={"main": replace(account, orders=orders)}))
    backtests = MemoryBacktests()
    again = read_report(backtests, backtests.put(report.record(1, 2), report.pages()))
    assert again.orders[0].quantity == Decimal("1.5")
    assert again.to_json() == report.to_json()


# --- the benchmark ------------------------------------------------------------------------


def test_buy_and_hold_keeps_its_worth_over_a_split() -> None:
    bars = shipped_bars()
    closes = [bar.end for bar in bars.bars("AAPL", "1d", 0, 962_000_000_000_000)]
    start = next(part.start for part in bars.slices("1d", 0, closes[-1], ["AAPL"])) - 1
    curve = buy_and_hold(bars, ["AAPL"], "1d", [start, *closes], Decimal(1000))
    assert curve.points[0].value == 1000
    # 2000-06-20 and 21: from 101.25 to 55.62 after two for one.
    values = [point.value for point in curve.points]
    worst = min(after / before for before, after in pairwise(values))
    assert worst > Decimal("0.85"), "halving is no loss"
    units = Decimal(1000) / Decimal("118.56") * 2
    last = bars.bars("AAPL", "1d", 0, closes[-1])[-1].close
    assert values[-1] == pytest.approx(units * last)


def test_buy_and_hold_waits_in_cash_for_a_symbol_that_is_listed_later() -> None:
    bars = shipped_bars()
    listed = bars.bars("GOOG", "1d", 0, 2**60)
    first = listed[0]
    at = [first.start - 86_400_000_000 * 30, first.start, first.end, listed[10].end]
    curve = buy_and_hold(bars, ["GOOG"], "1d", at, Decimal(500))
    assert [point.exposure for point in curve.points[:2]] == [0, 0], "an opening comes after"
    assert curve.points[2].value == pytest.approx(500 / first.open * first.close)
    assert buy_and_hold(bars, [], "1d", at, Decimal(500)).points == ()


def test_buy_and_hold_knows_no_price_before_its_time_where_bars_overlap() -> None:
    def bar(symbol: str, start: int, end: int, opening: int, close: int) -> Bar:
        high, low = Decimal(max(opening, close)), Decimal(min(opening, close))
        return Bar(symbol, start, end, Decimal(opening), high, low, Decimal(close), Decimal(1))

    bars = MemoryBars(
        [bar("A", 0, 10, 10, 20), bar("B", 5, 12, 10, 30), bar("A", 20, 30, 40, 50)],
        actions=[Dividend("A", 20, Decimal(1))],
    )
    curve = buy_and_hold(
        bars, ["A", "B"], "1d", [0, 5, 7, 10, 11, 12, 20, 25, 30, 99], Decimal(200)
    )
    assert [point.value for point in curve.points] == [
        200, 200, 200, 300, 300, 500, 500, 710, 810, 810,
    ]  # fmt: skip


# --- provenance ---------------------------------------------------------------------------


def test_data_are_told_by_span_and_checksum() -> None:
    bars = shipped_bars()
    start, end = 1_100_000_000_000_000, 1_200_000_000_000_000
    told = describe_data(bars, "the shipped history", "1d", start, end)
    assert told["symbols"] == ["AAPL", "GOOG", "IBM", "MSFT"]
    assert (told["bars"], told["actions"]) == (3_192, 1)
    assert (told["first"], told["last"]) == ("2004-11-09 14:30 UTC", "2008-01-10 21:00 UTC")
    assert describe_data(shipped_bars(), "the shipped history", "1d", start, end) == told
    fewer = describe_data(bars, "the shipped history", "1d", start, end, ["IBM"])
    assert fewer["symbols"] == ["IBM"]
    assert fewer["sha256"] != told["sha256"]


def test_one_cent_or_a_split_makes_another_checksum() -> None:
    def told(close: str, actions: list[Split]) -> Any:
        one, three = Decimal(1), Decimal(3)
        bar = Bar("A", 0, 10, one, three, one, Decimal(close), one)
        source = MemoryBars([bar], actions=actions)
        return describe_data(source, "mine", "1d", 0, 10)["sha256"]

    assert len({told("2", []), told("2.01", []), told("2", [Split("A", 0, Decimal(2))])}) == 3


def test_window_without_bars_has_no_span() -> None:
    told = describe_data(MemoryBars(), "mine", "1d", 0, 10)
    assert (told["bars"], told["first"], told["last"]) == (0, None, None)
