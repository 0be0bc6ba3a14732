"""The algorithm: what a task sees of its account, its trades and its surroundings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import (
    ArgumentRefused,
    LookAhead,
    NoPrice,
    RunCancelled,
    UnknownAccount,
    UnknownSymbol,
)
from closingbell.core.outcome import Cancelled, TimedOut
from closingbell.trading.money import Money
from closingbell.trading.terms import AccountTerms
from tests.unit.trading.algorithm_rig import AlgorithmRig, history, local, seat_of
from tests.unit.trading.rig import START, d


@pytest.fixture
def rig() -> AlgorithmRig:
    """1,000 USD; AAPL at 100, 120, 90, 95; and a purchase of 5 at 100 on the first day."""
    rig = AlgorithmRig([*history(100, 120, 90, 95), *history(10, 10, 10, 10, symbol="IBM")])
    rig.open_day(0)
    return rig


def bought(rig: AlgorithmRig, quantity: str = "5") -> None:
    """Hold AAPL, bought at the opening of session 1 for 120."""
    rig.close_day(0)
    rig.algorithm().create_buy_order("AAPL", quantity=quantity)
    rig.pass_days(1)


# --- the portfolio ------------------------------------------------------------------------


def test_portfolio_says_what_the_account_is_worth_and_has_gained(rig: AlgorithmRig) -> None:
    bought(rig)
    rig.pass_days(2)
    portfolio = rig.algorithm().get_portfolio()

    assert portfolio.get_total_value() == 850
    assert portfolio.get_initial_value() == 1000
    assert portfolio.get_peak_value() == 1000
    assert (portfolio.cash, portfolio.free_cash) == (400, 400)
    assert (portfolio.realized_pnl, portfolio.unrealized_pnl) == (0, -150)
    assert (portfolio.exposure, portfolio.net_deposits) == (450, 1000)
    assert portfolio.drawdown == 0.15
    assert not portfolio.drawdown > 0.15
    assert portfolio.weights == {"AAPL": Decimal(450) / 850}
    assert (portfolio.name, portfolio.currency) == ("main", "USD")


def test_portfolio_is_of_the_moment_in_which_it_was_asked_for(rig: AlgorithmRig) -> None:
    bought(rig)
    before = rig.algorithm().get_portfolio()
    rig.pass_days(2)

    assert before.total_value == 1000
    assert before.unrealized_pnl == 0
    assert before.positions[0].current_value == 600


def test_positions_leave_cash_out_and_value_each(rig: AlgorithmRig) -> None:
    assert rig.algorithm().get_positions() == []
    bought(rig)
    rig.pass_days(2)
    [position] = rig.algorithm().get_positions()

    assert (position.symbol, position.quantity, position.average_price) == ("AAPL", 5, 120)
    assert (position.current_value, position.cost, position.price) == (450, 600, 90)
    assert (position.unrealized_pnl, position.realized_pnl) == (-150, 0)
    assert position.opened_at == local("2012-11-20 09:30")
    assert rig.algorithm().get_position("AAPL") == position
    assert rig.algorithm().get_position("IBM") is None
    assert rig.algorithm().get_position("NOPE") is None


def test_position_in_a_foreign_currency_is_valued_in_the_accounts() -> None:
    rig = AlgorithmRig(
        [
            *history(100, 100, 120, symbol="BTC/EUR"),
            *history("1.25", "1.5", "1.5", symbol="EUR/USD"),
        ]
    )
    rig.pass_days(0)
    rig.desk.deposit("main", 1000, "EUR")
    rig.algorithm().create_buy_order("BTC", quantity=4)
    rig.pass_days(1, 2)
    portfolio = rig.algorithm().get_portfolio()
    [position] = portfolio.positions

    assert (position.symbol, position.currency) == ("BTC/EUR", "EUR")
    assert (position.average_price, position.price) == (100, 120)
    assert (position.cost, position.current_value) == (600, 720)
    assert portfolio.cash == 1000 + 600 * Decimal("1.5")
    assert portfolio.cash_by_currency == {"USD": 1000, "EUR": 600}
    assert (
        rig.algorithm().get_position("BTC") == rig.algorithm().get_position("BTC/EUR") == position
    )


def test_short_position_is_worth_less_than_nothing() -> None:
    rig = AlgorithmRig(history(100, 100, 90), short=True)
    rig.pass_days(0)
    rig.algorithm().create_sell_order("AAPL", quantity=4)
    rig.pass_days(1, 2)
    [position] = rig.algorithm().get_positions()

    assert (position.quantity, position.cost, position.current_value) == (-4, -400, -360)
    assert position.unrealized_pnl == 40


def test_portfolio_of_an_empty_account_has_no_drawdown_and_no_weights() -> None:
    rig = AlgorithmRig(history(100), cash=d(0))
    portfolio = rig.algorithm().get_portfolio()

    assert (portfolio.total_value, portfolio.peak_value, portfolio.drawdown) == (0, 0, 0)
    assert portfolio.weights == {}
    with pytest.raises(ZeroDivisionError):
        (portfolio.get_peak_value() - portfolio.get_total_value()) / portfolio.get_peak_value()


# --- trades -------------------------------------------------------------------------------


def test_trade_tells_what_the_fill_cost_and_who_made_it(rig: AlgorithmRig) -> None:
    bought(rig)
    [trade] = rig.algorithm().get_trades()

    assert (trade.symbol, trade.side, trade.quantity, trade.price) == ("AAPL", "buy", 5, 120)
    assert (trade.cost, trade.fee, trade.currency) == (600, 0, "USD")
    assert trade.created_at == local("2012-11-20 09:30")
    assert (trade.run_id, trade.task, trade.account) == ("run-1", "strategy", "main")
    assert sum([trade.cost, trade.fee]) == 600
    assert type(trade.cost) is Money


def test_trades_are_filtered_by_time_symbol_side_task_and_run(rig: AlgorithmRig) -> None:
    bought(rig)
    rig.algorithm(task="seller", run="run-2").create_sell_order("AAPL", quantity=2)
    rig.algorithm(task="other", run="run-3").create_buy_order("IBM", quantity=3)
    rig.pass_days(2)
    algorithm = rig.algorithm()

    def sizes(**words: Any) -> list[tuple[str, int]]:
        return [(t.symbol, int(t.quantity)) for t in algorithm.get_trades(**words)]

    second = local("2012-11-21 09:30")
    assert sizes() == [("AAPL", 5), ("IBM", 3), ("AAPL", 2)]
    assert sizes(symbol="AAPL") == [("AAPL", 5), ("AAPL", 2)]
    assert sizes(side="SELL") == [("AAPL", 2)]
    assert sizes(task="other") == sizes(run_id="run-3") == [("IBM", 3)]
    assert sizes(limit=1) == [("AAPL", 2)]
    # What is before an instant and what is at it or after it are all there is.
    assert sizes(before_date=second) == [("AAPL", 5)]
    assert sizes(after_date=second) == [("IBM", 3), ("AAPL", 2)]
    assert sizes(after_date=date(2012, 11, 21)) == [("IBM", 3), ("AAPL", 2)]
    assert sizes(before_date="2012-11-21") == [("AAPL", 5)]
    aware = datetime(2012, 11, 21, 14, 30, tzinfo=UTC)
    assert sizes(before_date=aware) == [("AAPL", 5)]


def test_archived_trades_are_left_out_and_still_count(rig: AlgorithmRig) -> None:
    bought(rig)
    algorithm = rig.algorithm()
    old = algorithm.get_trades(before_date=local("2012-11-21"))

    assert [algorithm.archive_trades(old), algorithm.archive_trades(old)] == [1, 0]
    assert algorithm.get_trades() == []
    assert algorithm.get_trades(archived=True) == algorithm.get_trades(archived=None) == old
    assert algorithm.get_positions()[0].quantity == 5


def test_trades_of_another_account_are_not_archived_in_this_one(rig: AlgorithmRig) -> None:
    bought(rig)
    rig.desk.add(AccountTerms(name="other"), rig.account.broker)
    other: Any = rig.algorithm(account="other")

    with pytest.raises(ArgumentRefused, match="trades of account 'other'"):
        other.archive_trades(rig.algorithm().get_trades())
    with pytest.raises(ArgumentRefused):
        other.archive_trades(["trade"])


# --- the market ---------------------------------------------------------------------------


def test_market_data_is_what_is_over_by_now(rig: AlgorithmRig) -> None:
    rig.close_day(0)
    rig.open_day(1)
    data = rig.algorithm().get_market_data("AAPL")

    [bar] = data
    assert (bar.open, bar.close, bar.volume) == (100, 100, 1000)
    assert bar.start == local("2012-11-19 09:30")
    assert bar.end == local("2012-11-19 16:00")
    assert (bar.close * 0.5, data.closes()) == (50, [100])
    assert data.to_arrow().num_rows == 1
    assert rig.algorithm().get_price("AAPL") == rig.algorithm().get_latest_price("AAPL") == 120


def test_market_data_after_now_is_refused(rig: AlgorithmRig) -> None:
    rig.close_day(0)

    with pytest.raises(LookAhead):
        rig.algorithm().get_market_data("AAPL", end=local("2012-11-19 16:00:01"))
    with pytest.raises(UnknownSymbol, match="did you mean 'AAPL'"):
        rig.algorithm().get_market_data("AAPK")


def test_price_that_no_bar_has_told_yet_is_the_last_stored_one() -> None:
    """Before its first bar passes the desk, market data from before the window counts."""
    rig = AlgorithmRig(history(100, 120))
    rig.clock.advance(START + timedelta(days=1))

    assert rig.algorithm().get_price("AAPL") == 100
    assert rig.algorithm().create_buy_order("AAPL", quantity=1).state == "open"


def test_price_without_any_bar_is_an_error() -> None:
    rig = AlgorithmRig(history(100))

    with pytest.raises(NoPrice, match="no price of AAPL"):
        rig.algorithm().get_price("AAPL")


def test_stored_market_data_is_read_again_from_its_end_on(rig: AlgorithmRig) -> None:
    rig.close_day(0)
    row = {"start": "2012-11-19T14:00", "end": "2012-11-19T15:00", "open": 7, "high": 8, "low": 6}
    result = rig.algorithm().store_market_data("GOOG", [{**row, "close": 7.5, "volume": 3}], "1h")
    [bar] = rig.algorithm().get_market_data("GOOG", "1h")

    assert (result.added, result.bars) == (1, 1)
    assert (bar.close, bar.start) == (7.5, local("2012-11-19 14:00"))
    assert rig.algorithm().get_symbols() == ["AAPL", "GOOG", "IBM"]


def test_archived_market_data_is_no_longer_read(rig: AlgorithmRig) -> None:
    rig.close_day(0)
    rig.pass_days(1)

    assert rig.algorithm().archive_market_data(before_date=local("2012-11-20")) == 2
    assert [bar.close for bar in rig.algorithm().get_market_data("AAPL")] == [120]


# --- time ---------------------------------------------------------------------------------


def test_now_is_naive_in_the_apps_zone(rig: AlgorithmRig) -> None:
    assert rig.algorithm().now() == local("2012-11-19 09:30")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf"), "5", None, 1e300])
def test_sleep_of_no_number_of_seconds_is_refused(rig: AlgorithmRig, seconds: Any) -> None:
    with pytest.raises(ArgumentRefused, match="seconds"):
        rig.algorithm().sleep(seconds)


def test_sleep_waits_for_the_desks_time_and_moves_the_runs_own_instant(
    rig: AlgorithmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(rig.clock, "sleep", slept.append)
    algorithm = rig.algorithm()
    due = seat_of(algorithm).due

    algorithm.sleep(90)

    assert slept == [90]
    assert seat_of(algorithm).due - due == 90_000_000


# --- what surrounds it --------------------------------------------------------------------


def test_maintenance_events_and_alerts_reach_the_surroundings(rig: AlgorithmRig) -> None:
    bought(rig)
    algorithm = rig.algorithm(task="report", run="run-9")
    algorithm.rebuild_database_indices()
    algorithm.update_database_statistics()
    written = algorithm.backup_database("/backups/desk.sql")
    started = algorithm.trigger_event("rebalance", {"value": algorithm.get_portfolio().total_value})
    algorithm.send_alert("too much", severity="critical", value=Money("1.5"))
    algorithm.trigger_event("bare")

    assert rig.surroundings.asked == [
        "rebuild",
        "statistics",
        ("backup", "/backups/desk.sql"),
        ("rebalance", {"value": 1000.0}),
        ("too much", "CRITICAL", "run-9", {"value": 1.5}),
        ("bare", {}),
    ]
    assert (written["format"], started) == ("sql", ["run-of-event"])
    with pytest.raises(ArgumentRefused, match="severity"):
        algorithm.send_alert("what", severity="loud")


def test_task_status_tells_local_times(rig: AlgorithmRig) -> None:
    ran = datetime(2012, 11, 19, 14, 0, tzinfo=UTC)
    rig.surroundings.status = {"other": {"last_run": ran, "last_error": None, "running": 0}}

    assert rig.algorithm().get_task_status() == {
        "other": {"last_run": local("2012-11-19 09:00"), "last_error": None, "running": 0}
    }


def test_latch_is_true_once_for_each_time_that_a_condition_comes_true(rig: AlgorithmRig) -> None:
    def look(run: str, condition: bool, fence: int = 1) -> bool:
        return bool(rig.algorithm(run=run, fence=fence).latch("drawdown", condition))

    assert [look("a", False), look("b", True), look("c", True)] == [False, True, False]
    # The run that saw it first may act in its next attempt, too.
    assert look("b", True, fence=2)
    assert [look("d", False), look("e", True)] == [False, True]


def test_record_is_a_line_of_json_in_the_runs_log(
    rig: AlgorithmRig, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        rig.algorithm().record(signal=Money("0.5"), symbol="AAPL")

    assert caplog.messages == ['record {"at":"2012-11-19T09:30:00","signal":0.5,"symbol":"AAPL"}']


# --- accounts, and who may act ------------------------------------------------------------


def test_algorithm_for_another_account_is_the_same_attempt(rig: AlgorithmRig) -> None:
    rig.desk.add(AccountTerms(name="crypto", cash=d(50), currency="EUR"), rig.account.broker)
    algorithm = rig.algorithm()
    other = algorithm.for_account("crypto")

    assert (algorithm.account, other.account) == ("main", "crypto")
    assert algorithm.accounts == other.accounts == ["crypto", "main"]
    assert other.get_portfolio().currency == "EUR"
    assert other.context is algorithm.context
    with pytest.raises(UnknownAccount, match="did you mean 'crypto'"):
        algorithm.for_account("cripto")


def test_mode_is_that_of_the_accounts_broker(rig: AlgorithmRig) -> None:
    assert rig.algorithm().mode == "backtest"


@pytest.mark.parametrize("ending", ["cancelled", "stopping", "ended"])
def test_attempt_that_has_ended_may_change_nothing_more(rig: AlgorithmRig, ending: str) -> None:
    bought(rig)
    algorithm = rig.algorithm()
    trades = algorithm.get_trades()
    call = seat_of(algorithm).call
    if ending == "cancelled":
        call.context.request_cancel("a person cancelled it")
    elif ending == "stopping":
        call.stopping = Cancelled("a person cancelled it")
    else:
        call.outcome = TimedOut({}, False)
    attempts: list[Any] = [
        lambda: algorithm.create_buy_order("AAPL", quantity=1),
        lambda: algorithm.create_sell_order("AAPL", percentage=0.5),
        lambda: algorithm.order_target_percent("AAPL", 0.5),
        lambda: algorithm.set_target_weights({"AAPL": 0.5}),
        lambda: algorithm.close_position("AAPL"),
        lambda: algorithm.cancel_all_orders(),
        lambda: algorithm.archive_trades(trades),
        lambda: algorithm.store_market_data("AAPL", {"price": 1}),
        lambda: algorithm.archive_market_data(before_date="2012-11-20"),
        lambda: algorithm.backup_database("x.sql"),
        lambda: algorithm.trigger_event("x"),
        lambda: algorithm.latch("x", True),
    ]

    for attempt in attempts:
        with pytest.raises(RunCancelled):
            attempt()
    assert rig.surroundings.asked == []
    assert len(rig.ledger.orders("main")) == 1


def test_reading_changes_nothing_in_the_ledger(rig: AlgorithmRig) -> None:
    bought(rig)
    rig.pass_days(2)
    rig.algorithm(run="run-5").create_sell_order("AAPL", quantity=1)
    version = rig.ledger.account("main").version
    algorithm = rig.algorithm(run="run-6")
    portfolio = algorithm.get_portfolio()
    looks = [
        portfolio.positions, portfolio.weights, portfolio.drawdown, portfolio.realized_pnl,
        algorithm.get_positions(), algorithm.get_trades(), algorithm.get_orders(),
        algorithm.get_open_orders(), algorithm.get_price("IBM"), algorithm.get_market_data("IBM"),
        algorithm.get_task_status(), algorithm.mode, algorithm.accounts, algorithm.get_symbols(),
        algorithm.get_unallocated(), algorithm.get_allocated(), algorithm.has_position("AAPL"),
    ]  # fmt: skip

    assert len(looks) == 17
    assert rig.ledger.account("main").version == version


def test_names_of_the_other_framework_mean_the_same(rig: AlgorithmRig) -> None:
    bought(rig)
    algorithm = rig.algorithm(run="run-7")
    algorithm.create_order("AAPL", 80, "LIMIT", "BUY", 1)

    assert algorithm.get_portfolio_value() == algorithm.get_total_size() == 1000
    assert (algorithm.get_unallocated(), algorithm.get_allocated()) == (320, 600)
    assert algorithm.get_trading_symbol() == "USD"
    assert [algorithm.has_position(s) for s in ("AAPL", "IBM", "NOPE")] == [True, False, False]
    assert [algorithm.has_balance("AAPL", 5), algorithm.has_balance("AAPL", 6)] == [True, False]
    assert [algorithm.has_balance("USD", 400), algorithm.has_balance("NOPE", 1)] == [True, False]
    assert algorithm.has_open_buy_orders("AAPL")
    assert not algorithm.has_open_sell_orders("AAPL")
    assert [order.limit_price for order in algorithm.get_pending_orders()] == [80]
