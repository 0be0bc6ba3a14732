"""The desk through the API: what is told of accounts, orders, journals and curves, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from closingbell.core.entry import EntryKind
from closingbell.core.ledger import OrderChange
from closingbell.core.order import OrderState, Side
from tests.api_client import signed_in
from tests.conformance.books import Account, cash, fill, filled, order, snapshot
from tests.conformance.desk import START

ACCOUNTS = "/api/v1/accounts"
T = int(START.timestamp()) * 1_000_000
HOUR = 3_600_000_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app whose ledger has an account "main" with a fill, a working order and a journal."""
    made = create_app(f"sqlite:///{tmp_path / 'desk.db'}", clock=SimulatedClock(START))
    made.add_account("main", cash=10_000)

    @made.task
    def rebalance() -> None: ...

    run = made.submit(rebalance).id
    main = Account(made.store.ledger)
    main.write(
        account=main.record._replace(prices={"AAPL": (T, Decimal("13.00"))}, peak=Decimal(10_500)),
        entries=[fill(run_id=run, task="rebalance", at=T), cash("-100", at=T + HOUR, note="rent")],
        orders=[
            order(created_at=T, run_id=run, ordinal=1, fence=1, task="rebalance", updated_at=T),
            order("by-hand", created_at=T + 1, side=Side.SELL, symbol="MSFT"),
        ],
        order_changes=[filled(at=T), OrderChange("by-hand", OrderState.OPEN, T + 2, broker_id="b")],
        snapshots=[snapshot(T + n * HOUR, f"{10_000 + n}") for n in range(50)],
    )
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app) as made:
        yield made


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(f"{ACCOUNTS}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_accounts_are_listed_with_their_last_value(client: httpx.Client) -> None:
    [account] = get(client, "")["items"]
    assert account == {
        "name": "main",
        "currency": "USD",
        "broker": "paper",
        "opened_at": "1970-01-01T00:00:00.000001Z",
        "initial": "10000",
        "entries": 3,
        "last_value": "10049",
        "last_value_at": "2026-03-04T15:30:00Z",
    }


def test_portfolio_is_what_the_app_itself_says(app: App, client: httpx.Client) -> None:
    told = get(client, "/main")
    mine = app.portfolio()
    for name, value in (
        ("total_value", mine.total_value),
        ("cash", mine.cash),
        ("free_cash", mine.free_cash),
        ("peak_value", mine.peak_value),
        ("drawdown", mine.drawdown),
        ("unrealized_pnl", mine.unrealized_pnl),
        ("realized_pnl", mine.realized_pnl),
        ("net_deposits", mine.net_deposits),
        ("exposure", mine.exposure),
        ("initial_value", mine.initial_value),
    ):
        assert Decimal(told[name]) == Decimal(str(value)), name
    assert told["total_value"] == "9904.65"
    assert told["cash_by_currency"] == {"USD": "9774.65"}
    assert (told["is_live"], told["working_orders"], told["missing_price"]) == (False, 1, None)


def test_portfolio_follows_what_another_process_writes(app: App, client: httpx.Client) -> None:
    assert get(client, "/main")["cash"] == "9774.65"
    other = Account(app.store.ledger)
    other.record = app.store.ledger.account("main")
    other.write(entries=[cash("1000", at=T + 2 * HOUR)])
    assert get(client, "/main")["cash"] == "10774.65"


def test_looking_at_a_portfolio_writes_nothing(app: App, client: httpx.Client) -> None:
    before = app.store.ledger.account("main")
    get(client, "/main")
    assert app.store.ledger.account("main") == before
    assert client.get(f"{ACCOUNTS}/never-opened").status_code == 404
    assert [a.name for a in app.store.ledger.accounts()] == ["main"]


def test_position_has_its_price_value_gain_and_weight(client: httpx.Client) -> None:
    [position] = get(client, "/main/positions")
    assert position == {
        "symbol": "AAPL",
        "quantity": "10",
        "currency": "USD",
        "average_price": "12.50",
        "price": "13.00",
        "priced_at": "2026-03-02T14:30:00Z",
        "cost": "125.00",
        "value": "130.00",
        "unrealized_pnl": "5.00",
        "realized_pnl": "-0.35",
        "weight": position["weight"],
        "opened_at": "2026-03-02T14:30:00Z",
    }
    assert Decimal(position["weight"]) == pytest.approx(Decimal("130") / Decimal("9904.65"))


def test_position_without_a_price_is_shown_and_says_why_it_has_no_value(
    app: App, client: httpx.Client
) -> None:
    foreign = Account(app.store.ledger, "foreign")
    foreign.write(entries=[fill(symbol="BTC/EUR", currency="EUR")], orders=[order(id="x")])
    told = get(client, "/foreign")
    assert (told["total_value"], told["drawdown"]) == (None, None)
    assert "no price of" in told["missing_price"]
    [position] = told["positions"]
    assert (position["symbol"], position["price"], position["value"]) == ("BTC/EUR", None, None)


def test_orders_name_the_run_that_made_them_the_newest_first(client: httpx.Client) -> None:
    page = get(client, "/main/orders")
    assert [(one["id"], one["state"]) for one in page["items"]] == [
        ("by-hand", "open"),
        ("o1", "filled"),
    ]
    by_hand, made = page["items"]
    assert by_hand["run"] is None
    assert (made["run"]["task"], made["run"]["state"]) == ("rebalance", "pending")
    assert (made["quantity"], made["filled"], made["limit_price"]) == ("10", "10", None)
    assert page["next"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"state": "open"}, ["by-hand"]),
        ({"state": ["open", "filled"]}, ["by-hand", "o1"]),
        ({"state": ["new", "open"]}, ["by-hand"]),
        ({"symbol": "AAPL"}, ["o1"]),
        ({"task": "rebalance"}, ["o1"]),
        ({"run": "nobody"}, []),
    ],
)
def test_orders_can_be_filtered(
    client: httpx.Client, query: dict[str, Any], ids: list[str]
) -> None:
    assert [one["id"] for one in get(client, "/main/orders", **query)["items"]] == ids


def test_order_has_its_history_and_its_fills(client: httpx.Client) -> None:
    told = get(client, "/main/orders/o1")
    assert [(step["state"], step["filled"]) for step in told["history"]] == [
        ("new", None),
        ("filled", "10"),
    ]
    [trade] = told["trades"]
    assert (trade["side"], trade["quantity"], trade["price"], trade["amount"], trade["fee"]) == (
        "buy",
        "10",
        "12.50",
        "125.00",
        "0.35",
    )
    assert told["trades_complete"] is True


def test_trades_and_entries_are_pages_of_the_journal(client: httpx.Client) -> None:
    trades = get(client, "/main/trades")["items"]
    assert [(one["seq"], one["order_id"], one["task"]) for one in trades] == [
        (2, "o1", "rebalance")
    ]
    first = get(client, "/main/entries", limit=2)
    assert [(one["seq"], one["kind"], one["amount"]) for one in first["items"]] == [
        (3, "cash", "-100"),
        (2, "fill", "-125.00"),
    ]
    assert first["items"][0]["note"] == "rent"
    second = get(client, "/main/entries", limit=2, after=first["next"])
    assert [one["seq"] for one in second["items"]] == [1]
    assert second["next"] is None
    kinds = get(client, "/main/entries", kind=EntryKind.CASH.value)["items"]
    assert [one["seq"] for one in kinds] == [3, 1]
    within = get(
        client, "/main/entries", since="2026-03-02T14:30:00Z", until="2026-03-02T15:00:00Z"
    )
    assert [one["seq"] for one in within["items"]] == [2]


def test_equity_curve_is_thinned_to_points_and_keeps_its_ends(client: httpx.Client) -> None:
    whole = get(client, "/main/equity")
    assert (len(whole["points"]), whole["is_thinned"], whole["currency"]) == (50, False, "USD")
    assert whole["points"][1]["value"] == "10001"
    thin = get(client, "/main/equity", points=10)
    values = [point["value"] for point in thin["points"]]
    assert (len(values), thin["is_thinned"]) == (10, True)
    assert (values[0], values[-1]) == ("10000", "10049")
    late = get(client, "/main/equity", since="2026-03-04T14:00:00Z")
    assert [point["value"] for point in late["points"]] == ["10048", "10049"]


@pytest.mark.parametrize("path", ["", "/positions", "/orders", "/trades", "/entries", "/equity"])
def test_unknown_account_is_404_with_the_near_name(client: httpx.Client, path: str) -> None:
    answer = client.get(f"{ACCOUNTS}/mian{path}")
    assert answer.status_code == 404
    problem = answer.json()
    assert (problem["code"], problem["near"]) == ("unknown_account", "main")


def test_order_of_another_account_is_not_found(app: App, client: httpx.Client) -> None:
    Account(app.store.ledger, "other").write(orders=[order("theirs", account="other")])
    for path, code in (
        ("main/orders/theirs", "unknown_order"),
        ("main/orders/nothing", "unknown_order"),
        ("nobody/orders/theirs", "unknown_account"),
    ):
        answer = client.get(f"{ACCOUNTS}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/main/orders", {"state": "sleeping"}),
        ("/main/orders", {"limit": 0}),
        ("/main/orders", {"limit": 1001}),
        ("/main/orders", {"symbol": "\0"}),
        ("/main/orders", {"after": "nonsense"}),
        ("/main/entries", {"kind": "gift"}),
        ("/main/entries", {"since": "yesterday"}),
        ("/main/entries", {"since": "12"}),
        ("/main/equity", {"points": 1}),
        ("/main/equity", {"points": 2001}),
    ],
)
def test_query_that_cannot_be_meant_is_refused(
    client: httpx.Client, path: str, query: dict[str, Any]
) -> None:
    answer = client.get(f"{ACCOUNTS}{path}", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_page_token_of_another_query_is_refused(client: httpx.Client) -> None:
    token = get(client, "/main/entries", limit=1)["next"]
    for path, query in (("/main/entries", {"kind": "fill"}), ("/main/trades", {})):
        answer = client.get(f"{ACCOUNTS}{path}", params={"after": token, **query})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_page_token")
