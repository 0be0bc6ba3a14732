"""One account, many hands: threads of one process, and desks of several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from closingbell.core.amount import ZERO
from closingbell.core.order import OrderState, OrderType, Side
from closingbell.trading.placement import Placement
from closingbell.trading.ticket import Ticket
from tests.unit.trading.exchange import Exchange
from tests.unit.trading.rig import Rig, bar, d

HANDS, ORDERS = 4, 25


def together(*acts: Callable[[], None]) -> None:
    """Do things at the same time; raise what any of them raised."""
    begin = threading.Barrier(len(acts))
    problems: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        begin.wait()
        try:
            act()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def buyer(rig: Rig, hand: int) -> Callable[[], None]:
    def act() -> None:
        for number in range(ORDERS):
            ticket = Ticket("main", "AAPL", Side.BUY, OrderType.MARKET, d(1))
            by = Placement(f"run-{hand}-{number}", 1, f"task-{hand}", 5, 0)
            rig.desk.place(ticket, None, by)

    return act


def check(rig: Rig) -> None:
    entries = rig.ledger.entries("main")
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    bought = sum((entry.quantity for entry in entries), ZERO)
    assert bought == HANDS * ORDERS == rig.held()
    assert rig.account.value() == Decimal(100_000)
    assert all(order.state is OrderState.FILLED for order in rig.ledger.orders("main"))


def test_threads_that_place_while_market_data_pass_lose_nothing() -> None:
    rig = Rig(cash=d(100_000))
    rig.walk(bar(0, 100))

    def walk() -> None:
        rig.walk(*(bar(number, 100) for number in range(1, 200)))

    together(walk, *(buyer(rig, hand) for hand in range(HANDS)))
    rig.walk(bar(300, 100))
    check(rig)


def test_desks_of_several_processes_share_an_account() -> None:
    first = Rig(cash=d(100_000), shared=True)
    first.walk(bar(0, 100))
    first.desk.snapshot(bar(0, 1).end)
    rigs = [first] + [
        Rig(ledger=first.ledger, clock=first.clock, shared=True) for _ in range(HANDS - 1)
    ]
    together(*(buyer(rig, hand) for hand, rig in enumerate(rigs)))
    first.walk(bar(1, 100))
    check(first)
    for rig in rigs:
        rig.desk.refresh("main")
        assert rig.held() == HANDS * ORDERS


def test_threads_that_sync_at_the_same_time_book_a_trade_once() -> None:
    exchange = Exchange()
    rig = Rig(exchange)
    order = rig.place("buy", 8)
    for _ in range(8):
        exchange.trade(order.id, 1, 100)
    others = [Rig(exchange, ledger=rig.ledger) for _ in range(3)]

    def sync(one: Rig) -> Callable[[], None]:
        def act() -> None:
            one.desk.sync("main")

        return act

    together(*(sync(one) for one in [rig, rig, *others]))
    assert rig.desk.sync("main") == 0
    assert rig.held() == 8
    assert len(rig.ledger.entries("main", kind="fill")) == 8
