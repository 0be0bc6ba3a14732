"""PortfolioMonitor: thresholds are told once each time that they are crossed."""

from __future__ import annotations

from closingbell.tasks.portfolio_monitor import PortfolioMonitor
from tests.unit.tasks.desk_rig import DeskRig


def invested() -> DeskRig:
    rig = DeskRig()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    return rig


def test_loss_and_gain_are_told_once_each_time() -> None:
    rig, task = invested(), PortfolioMonitor()
    for price in (79, 78, 81, 79, 100, 78, 145, 150):
        rig.price(AAPL=price)
        rig.run(task)

    assert [(alert.severity, alert.message) for alert in rig.alerts] == [
        ("WARNING", "the account is down 10.50%"),
        ("WARNING", "the account is down 11.00%"),
        ("INFO", "the account is up 22.50%"),
    ]


def test_deposit_is_no_gain() -> None:
    rig = invested()
    rig.desk.deposit("main", 10_000)
    found = rig.run(PortfolioMonitor())

    assert (found["value"], found["gain"], rig.alerts) == ("20000", "0", [])


def test_large_position_is_told_again_when_it_was_closed_and_opened_anew() -> None:
    rig, task = invested(), PortfolioMonitor(position_value=4_000)
    first, again = rig.run(task), rig.run(task)
    rig.buy("AAPL", -50)
    closed = rig.run(task)
    rig.buy("AAPL", 50)
    rig.run(task)

    assert [found["large"] for found in (first, again, closed)] == [["AAPL"], ["AAPL"], []]
    assert [alert.message for alert in rig.alerts] == [
        "the position in AAPL is large: 5,000.00 USD"
    ] * 2


def test_large_short_position_is_large() -> None:
    rig = DeskRig(short=True)
    rig.price(AAPL=100)
    rig.buy("AAPL", -60)

    assert rig.run(PortfolioMonitor(position_weight=0.5))["large"] == ["AAPL"]


def test_account_that_nothing_was_paid_into_has_no_gain() -> None:
    found = DeskRig(cash=0).run(PortfolioMonitor())

    assert found == {"value": "0", "gain": None, "large": []}
