"""Settlement: statements continue one another, charges are booked once, differences are told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from closingbell.core.bar import Dividend
from closingbell.core.clock import to_micros
from closingbell.core.entry import EntryKind
from closingbell.tasks.settlement import Charge, Settlement
from tests.unit.tasks.desk_rig import START, DeskRig

D = Decimal


def amounts(statement: dict[str, Any], *names: str) -> list[Decimal]:
    return [D(statement[name]) for name in names]


def test_statements_of_following_sessions_continue_and_balance() -> None:
    rig, task = DeskRig(), Settlement()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    first = rig.run(task, session_date="2026-03-02")["statements"][0]
    rig.days(1)
    rig.price(AAPL=110)
    rig.buy("AAPL", -20)
    rig.desk.deposit("main", 500)
    second = rig.run(task, session_date="2026-03-03")["statements"][0]

    assert amounts(first, "opening", "flows", "closing") == [0, 10_000, 10_000]
    assert amounts(second, "opening", "flows", "trading", "unrealized", "closing") == [
        10_000,
        500,
        200,
        300,
        11_000,
    ]
    assert second["balances"] is True
    assert rig.alerts == []


def test_statement_after_a_split_and_a_dividend_balances() -> None:
    rig, task = DeskRig(), Settlement()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    rig.run(task)
    rig.days(1)
    at = rig.clock.micros()
    from closingbell.core.bar import Bar, Slice, Split

    price = D(50)
    bar = Bar("AAPL", at, at + 1_000_000, price, price, price, price, D(1))
    actions = (Split("AAPL", at, D(2)), Dividend("AAPL", at, D("0.5")))
    rig.desk.opening(at, [Slice(at, at + 1_000_000, (bar,), actions)])
    found = rig.run(task)["statements"][0]

    assert amounts(found, "opening", "dividends", "unrealized", "closing") == [
        10_000,
        50,
        0,
        10_050,
    ]
    assert found["positions"][0]["quantity"] == "100"
    assert rig.alerts == []


def test_interest_is_booked_once_for_each_session_and_its_calendar_days() -> None:
    rig = DeskRig()
    task = Settlement(interest="0.0365")
    first = rig.run(task, session_date="2026-03-06")
    rig.days(3)
    second = rig.run(task, session_date="2026-03-09")
    again = rig.run(task, session_date="2026-03-09")
    charges = [e for e in rig.ledger.entries("main") if e.kind is EntryKind.CHARGE]

    assert first["charged"] == {}
    assert second["charged"] == {"interest": "-3.00"}
    assert again["charged"] == {}
    assert [(entry.amount, entry.note) for entry in charges] == [(D(3), "interest 2026-03-09")]
    assert D(second["statements"][0]["charges"]) == 3


def test_margin_interest_and_borrow_fee_are_paid() -> None:
    rig = DeskRig(short=True, leverage=D(3))
    rig.price(AAPL=100, IBM=50)
    rig.buy("AAPL", 200)
    rig.buy("IBM", -100)
    task = Settlement(interest=0.05, margin_interest=0.0365, borrow_fee=0.0730)
    rig.run(task, session_date="2026-03-02")
    done = rig.run(task, session_date="2026-03-12")

    # 5,000 are owed, and 5,000 worth of stock is borrowed, for ten days.
    assert done["charged"] == {"margin interest": "5.00", "borrow fee": "10.00"}


def test_charges_of_your_own_are_booked() -> None:
    rig = DeskRig()

    def funding(algorithm: Any) -> list[Charge]:
        return [Charge("funding BTC", D("1.25")), Charge("rebate", D("-0.25"))]

    found = rig.run(Settlement(charges=funding))

    assert found["charged"] == {"funding BTC": "1.25", "rebate": "-0.25"}
    assert D(found["value"]) == 9_999


def test_dividend_that_nobody_booked_is_told() -> None:
    paid = Dividend("AAPL", to_micros(START) + 3_600_000_000, D("0.5"))
    rig = DeskRig(actions=(paid,))
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    rig.run(task := Settlement())
    rig.days(1)
    found = rig.run(task)
    later = rig.run(task)

    assert found["missing"] == [{"symbol": "AAPL", "amount": "25.0"}]
    assert [alert.message for alert in rig.alerts] == [
        "the dividend of 0.5 on 50 AAPL is not booked"
    ]
    assert later["missing"] == []


def test_entry_that_is_not_what_it_says_is_told() -> None:
    rig, task = DeskRig(), Settlement()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    [shelf] = rig.ledger._shelves.values()
    shelf.entries[1] = shelf.entries[1]._replace(quantity=D(45))
    rig.run(task)

    assert [alert.message for alert in rig.alerts] == [
        "the statement of 2026-03-02 in USD does not balance: -500 are not explained",
        "the journal comes to 9500 USD on 2026-03-02, and the desk says 10000",
    ]


def test_settlement_runs_at_the_daily_close_of_its_own_account() -> None:
    from closingbell.task import define_task

    found = define_task(Settlement(account="swing"), "UTC")

    assert found.on_event == ("daily_close",)
    assert found.where is not None
    assert found.where.matches({"account": "swing"})
    assert not found.where.matches({"account": "main"})


def test_two_currencies_have_a_statement_each() -> None:
    rig = DeskRig()
    rig.price(EUR_USD="1.25")
    rig.desk.deposit("main", 100, "EUR")
    rig.price(BTC_EUR=50)
    rig.buy("BTC/EUR", 1)
    rig.price(BTC_EUR=60)
    euro, dollar = rig.run(Settlement())["statements"]

    assert amounts(euro, "flows", "unrealized", "closing") == [100, 10, 110]
    assert amounts(dollar, "closing") == [10_000]
    assert rig.alerts == []
