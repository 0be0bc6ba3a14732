"""Reconciliation: each difference with the broker is told once until it is gone, and never mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Quote
from closingbell.core.error import BrokerUnavailable
from closingbell.core.order import Order, OrderState
from closingbell.tasks.reconciliation import Reconciliation
from closingbell.trading.broker.protocol import Broker, OrderReport
from closingbell.trading.terms import AccountTerms
from tests.unit.tasks.desk_rig import DeskRig

D = Decimal


class Remote(Broker):
    """A broker elsewhere, whose books the test writes."""

    kind = "remote"
    mode = "live"

    def __init__(self) -> None:
        self.holds: dict[str, Decimal] = {"USD": D(10_000)}
        self.is_down = False

    def submit(self, order: Order) -> OrderReport:
        return OrderReport(order.id, f"x{order.id}", OrderState.OPEN, symbol=order.symbol)

    def open_orders(self) -> Sequence[OrderReport]:
        return ()

    def balances(self) -> Mapping[str, Decimal] | None:
        if self.is_down:
            raise BrokerUnavailable(self.kind, "no answer")
        return self.holds

    def quote(self, symbol: str) -> Quote | None:
        return None


def remote() -> tuple[DeskRig, Remote, Any]:
    rig, broker = DeskRig(), Remote()
    rig.desk.add(AccountTerms(name="live", calendar="24/7"), broker)

    def look(**more: Any) -> Any:
        return rig.run(Reconciliation(account="live", **more))

    return rig, broker, look


def test_books_that_agree_are_no_alert() -> None:
    rig, _, look = remote()

    assert look() == {"differences": [], "gone": []}
    assert rig.alerts == []


def test_difference_is_told_once_until_it_is_gone_and_again_when_it_is_back() -> None:
    rig, broker, look = remote()
    found = []
    for amount in (9_990, 9_990, 10_000, 9_990):
        broker.holds = {"USD": D(amount)}
        found.append(look())
        rig.days(0.01)

    assert [len(one["differences"]) for one in found] == [1, 1, 0, 1]
    assert [len(one["gone"]) for one in found] == [0, 0, 1, 0]
    assert found[0]["differences"] == found[1]["differences"], "it keeps its `since`"
    assert [alert.message for alert in rig.alerts] == [
        "account 'live', balance USD: the ledger says 10000, the broker 9990"
    ] * 2
    assert rig.algorithm("look", "live").get_portfolio().total_value == 10_000, "nothing is mended"


def test_difference_within_the_tolerance_is_none() -> None:
    _, broker, look = remote()
    broker.holds = {"USD": D("9999.95")}

    assert look(tolerance={"USD": 0.1})["differences"] == []
    assert len(look()["differences"]) == 1


def test_broker_that_cannot_be_asked_fails_the_run_and_forgets_nothing() -> None:
    rig, broker, look = remote()
    broker.holds = {"USD": D(1)}
    look()
    broker.is_down = True
    with pytest.raises(BrokerUnavailable):
        look()
    broker.is_down = False
    look()

    assert len(rig.alerts) == 1


def test_paper_account_has_no_broker_to_differ_from() -> None:
    rig = DeskRig()

    assert rig.run(Reconciliation()) == {"differences": [], "gone": []}
