"""The desk of a live app, on both stores: accounts, orders, events, restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from closingbell.app import App
from closingbell.core.error import (
    AccountError,
    AccountMismatch,
    SettingError,
    UnknownAccount,
)
from closingbell.core.run import Run, RunState
from closingbell.task import Task
from closingbell.trading.broker.protocol import Broker
from tests.acceptance.desk import (
    START,
    StandingClock,
    ended,
    eventually,
    in_loop,
    make_app,
    reached,
)
from tests.acceptance.trading_days import MONDAY, OPENS, TradingDays


@pytest.fixture
def desk(store_address: str) -> Iterator[TradingDays]:
    desk = TradingDays(store_address)
    yield desk
    desk.app.stop()


def buy_once(desk: TradingDays, **words: Any) -> None:
    """A strategy that buys once, at the first close."""

    @desk.app.task(session="XNYS close", retries=0)
    def strategy(algorithm: Any) -> None:
        if not algorithm.get_orders():
            algorithm.create_buy_order("AAPL", **(words or {"percentage": 0.5}))


# --- a week -------------------------------------------------------------------------------


def test_days_of_trading_leave_portfolio_positions_trades_and_orders(desk: TradingDays) -> None:
    desk.app.add_account(cash=100_000, fee="0.1%")
    buy_once(desk, quantity=100)

    @desk.app.task(session="XNYS close", priority=9)
    def look(algorithm: Any) -> None:
        portfolio = algorithm.get_portfolio()
        desk.seen.append(
            (
                f"{algorithm.now():%d %H:%M}",
                algorithm.mode,
                portfolio.get_total_value(),
                [(p.symbol, p.current_value) for p in portfolio.positions],
                len(algorithm.get_trades()),
                [order.state.value for order in algorithm.get_orders()],
            )
        )

    desk.app.start(block=False)
    desk.days(0, 1, 2)

    fee = Decimal("57.191")
    assert desk.fills() == [("AAPL", 100, Decimal("571.91"), "20 14:30")]
    assert desk.seen == [
        ("19 16:00", "paper", 100_000, [], 0, ["open"]),
        (
            "20 16:00", "paper", 100_000 - 57_191 - fee + Decimal("56091.34"),
            [("AAPL", Decimal("56091.34"))], 1, ["filled"],
        ),
        (
            "21 16:00", "paper", 100_000 - 57_191 - fee + 56_170, [("AAPL", 56_170)], 1, ["filled"],
        ),
    ]  # fmt: skip
    portfolio = desk.app.portfolio()
    assert portfolio.get_initial_value() == 100_000
    assert portfolio.realized_pnl == -fee
    assert portfolio.positions[0].opened_at == datetime.fromisoformat("2012-11-20 09:30")
    curve = desk.app.store.ledger.snapshots("main")
    assert [point.value for point in curve] == [line[2] for line in desk.seen]


def test_restart_in_the_middle_goes_on_as_if_there_had_been_none(store_address: str) -> None:
    """The order waits over the restart, and fills at the opening that comes while nobody is there."""
    first = TradingDays(store_address)
    first.app.add_account(cash=100_000)
    buy_once(first, quantity=100)
    first.app.start(block=False)
    first.days(0)
    first.app.stop()

    later = StandingClock(first.at("20 18:00"))
    second = TradingDays(store_address, clock=later)
    second.app.add_account(cash=5)
    buy_once(second, quantity=100)
    second.app.start(block=False)
    second.settle()
    opened = second.fills()
    second.go("20 21:00")
    second.days(2)
    portfolio = second.app.portfolio()
    closes = [e["data"]["session_date"] for e in second.app.store.events.recent("daily_close")]
    second.app.stop()

    assert opened == [("AAPL", 100, Decimal("571.91"), "20 14:30")]
    assert second.fills() == opened
    assert portfolio.total_value == 100_000 - 57_191 + 56_170
    assert sorted(closes) == ["2012-11-19", "2012-11-20", "2012-11-21"]


def test_two_accounts_trade_beside_each_other(desk: TradingDays) -> None:
    desk.app.add_account(cash=100_000)
    desk.app.add_account("small", cash=1_000, currency="USD", lot=1, calendar="24/7")

    @desk.app.task(session="XNYS close")
    def large(algorithm: Any) -> None:
        algorithm.order_target_quantity("AAPL", 10)

    @desk.app.task(session="XNYS close", account="small")
    def small(algorithm: Any) -> None:
        algorithm.order_target_percent("AAPL", 0.9)
        desk.seen.append((algorithm.account, algorithm.accounts))
        desk.seen.append(algorithm.for_account("main").get_portfolio().initial_value)

    desk.app.start(block=False)
    desk.days(0, 1)

    assert desk.fills()[0][:2] == ("AAPL", 10)
    assert desk.fills("small")[0][:2] == ("AAPL", 1)
    assert desk.seen[:2] == [("small", ["main", "small"]), 100_000]
    assert desk.app.portfolio("small").total_value == 1_000 - Decimal("571.91") + Decimal(
        "560.9134"
    )
    assert [a.name for a in desk.app.store.ledger.accounts()] == ["main", "small"]


# --- failures -----------------------------------------------------------------------------


def test_task_whose_order_is_refused_fails_with_the_reason(desk: TradingDays) -> None:
    desk.app.add_account(cash=1_000)

    @desk.app.task(retries=0)
    def greedy(algorithm: Any) -> None:
        algorithm.create_buy_order("AAPL", quantity=10)

    desk.app.start(block=False)
    desk.go(OPENS[0])
    run = ended(desk.app, desk.app.submit(greedy).id)

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert (run.error["code"], run.error["type"]) == ("insufficient_funds", "InsufficientFunds")
    assert "AAPL costs about 5407.0970 USD, and 1000 USD is free" in run.error["message"]
    assert desk.app.store.ledger.orders("main") == []


def test_second_attempt_after_an_order_makes_no_second_one(desk: TradingDays) -> None:
    desk.app.add_account(cash=100_000)
    ids: list[str] = []

    @desk.app.task(retries=3)
    def hasty(algorithm: Any) -> None:
        # Half of what is free, each time: a second order would be half of the rest.
        ids.append(algorithm.create_buy_order("AAPL", percentage=0.5).id)
        if len(ids) < 3:
            raise ConnectionError("the exchange hung up")

    desk.app.start(block=False)
    desk.go(OPENS[0])
    handle = desk.app.submit(hasty)
    # The market moves on before each retry comes.
    for attempt, later in ((1, "19 21:00"), (2, "20 21:00")):

        def waits(run: Run, attempt: int = attempt) -> bool:
            return (run.attempt, run.state) == (attempt, RunState.SCHEDULED)

        reached(desk.app, handle.id, waits)
        desk.go(later)
    run = ended(desk.app, handle.id)

    assert (run.state, run.attempt) == (RunState.SUCCESS, 3)
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert len(desk.app.store.ledger.orders("main")) == 1
    assert len(desk.fills()) == 1


def test_cancelled_run_places_nothing_more(desk: TradingDays) -> None:
    desk.app.add_account(cash=100_000)
    came, goes_on = threading.Event(), threading.Event()

    @desk.app.task(retries=0)
    def slow(algorithm: Any) -> None:
        algorithm.create_buy_order("AAPL", quantity=1)
        came.set()
        goes_on.wait(10)
        algorithm.create_buy_order("AAPL", quantity=2)

    desk.app.start(block=False)
    desk.go(OPENS[0])
    handle = desk.app.submit(slow)
    assert came.wait(10)
    handle.cancel("a person saw it")
    goes_on.set()
    run = ended(desk.app, handle.id)

    assert run.state is RunState.CANCELLED
    assert [order.quantity for order in desk.app.store.ledger.orders("main")] == [1]


def test_run_that_waits_for_the_market_is_given_back_when_the_app_stops(
    store_address: str,
) -> None:
    """What is due later waits for what is due earlier, and a stop is no reason to go on without."""
    desk = TradingDays(store_address)
    desk.app.add_account(cash=100_000)
    came, goes_on = threading.Event(), threading.Event()

    @desk.app.task(session="XNYS open+10m", retries=0)
    def early(algorithm: Any) -> None:
        came.set()
        goes_on.wait(10)

    @desk.app.task(session="XNYS close", retries=0)
    def late(algorithm: Any) -> str:
        desk.seen.append("late came")
        return str(algorithm.get_price("AAPL"))

    desk.app.start(block=False)
    desk.go(OPENS[0])
    desk.clock.advance(desk.at("19 14:40"))
    assert came.wait(10)
    desk.clock.advance(desk.at("19 21:00"))
    eventually(lambda: desk.seen, "the later task waits")
    threading.Timer(0.2, goes_on.set).start()
    desk.app.stop()
    [run] = desk.app.list_runs(task="late")
    given_back = (run.state, run.attempt)
    desk.app.stop()

    again = TradingDays(store_address, clock=desk.clock)
    again.app.add_account(cash=100_000)
    again.app.registry.register_task("late", lambda algorithm: str(algorithm.get_price("AAPL")))
    again.app.start(block=False)
    result = again.app.handle(run.id).result(10)
    again.app.stop()

    assert given_back == (RunState.PENDING, 0)
    assert result == "565.73"


def test_market_data_that_cannot_pass_is_an_alert_and_stops_no_task(
    desk: TradingDays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("closingbell.desk_pump._PAUSES_S", (0.001,))
    desk.app.add_account(cash=1_000)

    @desk.app.task
    def bystander() -> str:
        return "ran"

    desk.app.start(block=False)
    desk.settle()
    live, broken = desk.app.desk, [True]
    original = live.opening

    def opening(*args: Any) -> None:
        if broken:
            raise OSError("the disk is full")
        original(*args)

    monkeypatch.setattr(live, "opening", opening)
    desk.clock.advance(desk.at(OPENS[0]))
    [alert] = eventually(lambda: desk.app.store.alerts.open(), "an alert")
    result = desk.app.submit(bystander).result(10)
    broken.clear()
    desk.settle()

    assert alert["type"] == "desk_failure"
    assert "market data does not pass the desk: the disk is full" in alert["message"]
    assert result == "ran"
    assert desk.app.portfolio().total_value == 1_000
    assert live.account("main").cursor_opened
    assert len(desk.app.store.alerts.open()) == 1


# --- events -------------------------------------------------------------------------------


def test_event_integration_example_of_the_document_works_as_given(desk: TradingDays) -> None:
    """The three triggers of the scheduler-centre document, started by what really happens."""
    desk.app.add_account(cash=100_000)
    given: dict[str, list[Any]] = {"data_sync": [], "risk_scan": [], "performance_report": []}
    for name, calls in given.items():
        desk.app.registry.register_task(
            name, lambda payload, calls=calls: calls.append(dict(payload)), priority=7
        )
    buy_once(desk, quantity=100)
    task_scheduler = desk.app.scheduler

    @in_loop
    async def register_trading_events() -> None:
        # Market data events
        await task_scheduler.schedule_event_trigger(
            "data_sync", "market_data_update",
            {"source": "real_time_feed"}, priority=1
        )  # fmt: skip

        # Risk events
        await task_scheduler.schedule_event_trigger(
            "risk_scan", "position_change",
            {"threshold": 1000000}, priority=2
        )  # fmt: skip

        # Performance events
        await task_scheduler.schedule_event_trigger(
            "performance_report", "daily_close",
            {"report_type": "daily_summary"}, priority=3
        )  # fmt: skip

    register_trading_events()
    desk.app.start(block=False)
    desk.days(0, 1)
    runs = desk.app.list_runs(limit=100)

    [change] = given["risk_scan"]
    assert (change["threshold"], change["symbol"], change["change"]) == (1_000_000, "AAPL", "100")
    assert change["value"] == "57191.00"
    assert [c["report_type"] for c in given["performance_report"]] == ["daily_summary"] * 2
    assert [c["session_date"] for c in given["performance_report"]] == ["2012-11-19", "2012-11-20"]
    assert [c["source"] for c in given["data_sync"]] == ["real_time_feed"] * 2
    assert "AAPL" in given["data_sync"][0]["symbols"]
    assert {(r.task, r.priority, r.cause) for r in runs if r.cause == "event"} == {
        ("data_sync", 1, "event"),
        ("risk_scan", 2, "event"),
        ("performance_report", 3, "event"),
    }
    # A run's instant is its fact's.
    assert {f"{r.due_at:%d %H:%M}" for r in runs if r.task == "risk_scan"} == {"20 14:30"}


def test_event_of_the_desk_matches_conditions_and_handlers_of_numbers(desk: TradingDays) -> None:
    desk.app.add_account(cash=100_000, max_drawdown=0.005)
    buy_once(desk, quantity=100)

    @desk.app.task(on_event="position_change", where="change > 50 and symbol == 'AAPL'")
    def large_change(symbol: str, change: float, value: Decimal) -> None:
        desk.seen.append((symbol, change, value))

    @desk.app.task(on_event="position_change", where="change > 500")
    def huge_change(symbol: str) -> None:
        desk.seen.append("never")

    @desk.app.task(on_event="drawdown_breach")
    def breach(drawdown: float, limit: float) -> None:
        desk.seen.append((round(drawdown, 4), limit))

    desk.app.start(block=False)
    desk.days(0, 1)

    assert desk.seen == [("AAPL", 100.0, Decimal("57191.00")), (0.011, 0.005)]


def test_task_that_cannot_take_a_fact_is_an_alert_and_the_fact_is_true(desk: TradingDays) -> None:
    """A listener with a wrong signature must not undo the fill."""
    desk.app.add_account(cash=100_000)
    buy_once(desk, quantity=100)

    @desk.app.task(on_event="order_filled")
    def misfit(quantity: int) -> None: ...

    @desk.app.task(on_event="order_filled")
    def fits(symbol: str) -> None:
        desk.seen.append(symbol)

    desk.app.start(block=False)
    desk.days(0, 1)

    assert len(desk.fills()) == 1
    assert desk.seen == ["AAPL"]
    [alert] = [a for a in desk.app.store.alerts.open() if a["type"] == "event_refused"]
    assert "'order_filled' does not start task 'misfit'" in alert["message"]


# --- accounts -----------------------------------------------------------------------------


def test_desk_without_accounts_gets_a_paper_account_when_a_task_asks(store_address: str) -> None:
    """Its prices are the shipped history's, which has ended: orders fill at the last ones."""
    app = make_app(store_address, StandingClock(START))
    known: list[list[str]] = []

    @app.task
    def bystander(algorithm: Any) -> None:
        algorithm.log("nothing to trade")

    @app.task(retries=0)
    def trader(algorithm: Any) -> None:
        portfolio = algorithm.get_portfolio()
        known.append([algorithm.mode, str(portfolio.total_value), portfolio.currency])
        known.append(algorithm.get_symbols())
        order = algorithm.create_buy_order("IBM", quantity=10)
        known.append([order.state, algorithm.get_trades()[0].note])

    app.start(block=False)
    app.submit(bystander).result(10)
    before = app.store.ledger.accounts()
    app.submit(trader).result(20)
    positions = app.portfolio().positions
    app.stop()

    assert before == []
    assert known[0] == ["paper", "10000", "USD"]
    assert known[1] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert known[2] == ["filled", "no later market data: filled at the last price"]
    held: Any = [(p.symbol, p.quantity, p.price) for p in positions]
    assert held == [("IBM", 10, Decimal("202.91"))]


def test_default_account_is_there_again_after_a_restart(store_address: str) -> None:
    for _ in range(2):
        app = make_app(store_address, StandingClock(START))

        @app.task(retries=0)
        def trader(algorithm: Any) -> str:
            algorithm.create_buy_order("IBM", quantity=1)
            return str(algorithm.get_position("IBM").quantity)

        app.start(block=False)
        result = app.submit(trader).result(20)
        app.stop()
    assert result == "2"


def test_task_that_names_an_unknown_account_is_refused_at_the_start(store_address: str) -> None:
    app = make_app(store_address)
    app.add_account("crypto")
    app.registry.register_task("trader", lambda algorithm: None, account="cripto")

    with pytest.raises(UnknownAccount, match="'cripto': did you mean 'crypto'"):
        app.start(block=False)
    assert not app.is_running
    app.stop()


def test_task_without_an_account_of_its_own_is_told_when_there_is_no_main_one(
    store_address: str,
) -> None:
    app = make_app(store_address)
    app.add_account("crypto")
    app.registry.register_task("trader", lambda algorithm: algorithm.get_portfolio(), retry_count=0)
    app.registry.register_task("keeper", lambda algorithm: "no account needed")
    app.start(block=False)
    run = ended(app, app.submit("trader").id)
    kept = app.submit("keeper").result(10)
    app.stop()

    assert run.error is not None
    assert run.error["code"] == "unknown_account"
    assert kept == "no account needed"


def test_account_that_is_stored_otherwise_is_refused_at_the_start(store_address: str) -> None:
    app = make_app(store_address, StandingClock(START))
    app.add_account(currency="EUR")
    app.start(block=False)
    app.stop()
    other = make_app(store_address, StandingClock(START))
    other.add_account(currency="USD")

    with pytest.raises(AccountMismatch, match="currency EUR"):
        other.start(block=False)
    other.stop()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"cash": -1}, "cash"),
        ({"cash": "much"}, "cash"),
        ({"cash": float("nan")}, "cash"),
        ({"currency": ""}, "currency"),
        ({"currency": "EUR/USD"}, "currency"),
        ({"broker": "papper"}, "broker"),
        ({"broker": object()}, "broker"),
        ({"timeframe": "day"}, "timeframe"),
        ({"calendar": "XNYY"}, "calendar"),
        ({"short": "yes"}, "short"),
        ({"leverage": 0.5}, "leverage"),
        ({"lot": 0}, "lot"),
        ({"max_drawdown": 15}, "max_drawdown"),
        ({"fees": "0.1%"}, "option"),
        ({"exchange": "binance"}, "option"),
        ({"broker": "ccxt"}, "exchange"),
        ({"broker": "ccxt", "exchange": "binance", "fee": 1}, "option"),
        ({"broker": Broker(), "fee": "0.1%"}, "option"),
    ],
)
def test_account_with_an_impossible_term_is_refused_where_it_is_added(
    sqlite_address: str, words: dict[str, Any], named: str
) -> None:
    app = make_app(sqlite_address)

    with pytest.raises(AccountError) as refused:
        app.add_account(**words)
    assert refused.value.term == named
    assert app.accounts == {}


@pytest.mark.parametrize("words", [{"fee": "a lot"}, {"slippage": -1}, {"fill": "now"}])
def test_option_of_a_broker_that_cannot_be_read_is_refused(
    sqlite_address: str, words: dict[str, Any]
) -> None:
    with pytest.raises(SettingError):
        make_app(sqlite_address).add_account(**words)


def test_account_added_twice_is_refused(sqlite_address: str) -> None:
    app = make_app(sqlite_address)
    app.add_account()

    with pytest.raises(AccountError, match="no other account has"):
        app.add_account()


def test_keys_of_an_exchange_are_not_shown(sqlite_address: str) -> None:
    app = make_app(sqlite_address)
    app.add_account(broker="ccxt", exchange="binance", key="AKIA", secret="hush")

    assert app.accounts["main"].calendar == "24/7"
    assert "hush" not in repr(app.accounts)
    assert "AKIA" not in str(app.accounts["main"])


# --- reading, and market data --------------------------------------------------------------


def test_reading_tasks_change_nothing_in_the_ledger(desk: TradingDays) -> None:
    desk.app.add_account(cash=1_000)

    @desk.app.task(on_event="daily_close")
    def reader(algorithm: Any) -> None:
        portfolio = algorithm.get_portfolio()
        desk.seen.append((portfolio.drawdown, portfolio.positions, algorithm.get_trades()))
        desk.seen.append(algorithm.get_market_data("AAPL", limit=3).closes())

    desk.app.start(block=False)
    desk.days(0)
    version = desk.app.store.ledger.account("main").version
    for _ in range(3):
        desk.app.submit(reader).result(10)

    assert len(desk.seen) == 8
    assert desk.app.store.ledger.account("main").version == version
    assert desk.app.store.ledger.entries("main")[1:] == []


def test_stored_market_data_is_the_market_of_paper_accounts(store_address: str) -> None:
    """A task collects; the account trades on what was collected."""
    desk = TradingDays(store_address)
    desk.app.add_account(cash=1_000, timeframe="1h", calendar="24/7")

    @desk.app.task(retries=0)
    def collector(algorithm: Any, start: str, end: str, price: float) -> None:
        row = {"start": start, "end": end, "open": price, "high": price, "low": price}
        algorithm.store_market_data("ACME", {**row, "close": price, "volume": 1}, timeframe="1h")

    @desk.app.task(retries=0)
    def trader(algorithm: Any) -> str:
        return str(algorithm.create_buy_order("ACME", percentage=1).state)

    desk.app.start(block=False)
    hours = ["19 13:00", "19 14:00", "19 15:00"]
    for hour, price in zip(hours, (10.0, 20.0, 25.0), strict=True):
        begin = desk.at(hour)
        desk.go(f"{hour[:3]}{begin.hour + 1}:00")
        payload = {"start": begin.isoformat(), "end": desk.clock.now().isoformat(), "price": price}
        desk.app.submit(collector, payload).result(10)
        desk.settle()
        if price == 10.0:
            state = desk.app.submit(trader).result(10)
    portfolio = desk.app.portfolio()
    stored = desk.app.market_data.symbols()
    desk.app.stop()

    # Nothing later was stored when it was placed, so it traded at the latest price.
    assert state == "filled"
    assert desk.fills() == [("ACME", 100, 10, "19 14:00")]
    assert portfolio.total_value == 2_500
    assert stored == ["ACME"]


# --- what people are told -------------------------------------------------------------------


def test_start_warns_of_tasks_that_read_the_machines_time_in_another_zone(
    sqlite_address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In summer Kolkata is never UTC; a task that asks the algorithm is right everywhere."""

    class Hasty(Task):
        def run(self, algorithm: Any) -> int:
            return self.age(algorithm)

        def age(self, algorithm: Any) -> int:
            return int((datetime.now() - algorithm.now()).total_seconds())  # noqa: DTZ005

    plain = make_app(sqlite_address, timezone="Asia/Kolkata")
    plain.registry.register_task("trader", lambda algorithm: algorithm.now())
    plain.start(block=False)
    plain.stop()
    said = "the machine's time" in caplog.text
    app = make_app(sqlite_address, timezone="Asia/Kolkata")
    app.add_task(Hasty())
    for _ in range(2):
        app.start(block=False)
        app.stop()

    assert not said
    assert caplog.text.count("datetime.now() in Hasty is the machine's time") == 1
    assert "Asia/Kolkata (UTC+0530)" in caplog.text


def test_people_see_the_desk_without_a_worker(store_address: str) -> None:
    app: App = make_app(store_address, StandingClock(MONDAY))
    app.add_account(cash=500)
    portfolio = app.portfolio()
    desk = app.desk
    with pytest.raises(UnknownAccount):
        app.portfolio("other")
    app.stop()

    assert [portfolio.total_value, portfolio.cash] == [500, 500]
    assert list(desk.accounts) == ["main"]


def test_people_see_the_default_account_too(sqlite_address: str) -> None:
    app = make_app(sqlite_address, StandingClock(START))
    desk = app.desk
    entry = desk.deposit("main", 500)
    value = app.portfolio().total_value
    app.stop()

    assert entry is not None
    assert (list(desk.accounts), entry.seq) == (["main"], 2)
    assert value == 10_500
