"""A risk task's percentage sale is placed once in a drawdown."""

from __future__ import annotations

import pytest

from closingbell.core.error import InsufficientPosition
from closingbell.trading.desk import Desk
from closingbell.trading.terms import AccountTerms
from tests.unit.trading.algorithm_rig import AlgorithmRig, history
from tests.unit.trading.rig import d


@pytest.fixture
def rig() -> AlgorithmRig:
    """10 AAPL bought at 100, the peak; then 80, 80, 70, 130, 90, 90."""
    rig = AlgorithmRig(history(100, 100, 80, 80, 70, 130, 90, 90), cash=d(1500))
    rig.pass_days(0)
    rig.algorithm(task="entry", run="entry").create_buy_order("AAPL", quantity=10)
    rig.pass_days(1)
    return rig


class Minutes:
    """Runs of a task that halves its position each time; the attempts count up."""

    def __init__(self, rig: AlgorithmRig, task: str = "risk_manager", *, once: bool = True) -> None:
        self.rig = rig
        self.task = task
        self.once = once
        self.count = 0

    def halve(self) -> str:
        """Return the id of the order that the run got."""
        self.count += 1
        algorithm = self.rig.algorithm(
            task=self.task, run=f"{self.task}-{self.count}", once=self.once
        )
        return str(algorithm.create_sell_order("AAPL", percentage=0.5).id)


def test_reductions_in_one_drawdown_are_one_order(
    rig: AlgorithmRig, caplog: pytest.LogCaptureFixture
) -> None:
    """The page's risk manager must not go from 100 % to 1.6 % in six minutes."""
    minutes = Minutes(rig)
    rig.pass_days(2)
    with caplog.at_level("INFO"):
        first = {minutes.halve() for _ in range(3)}
    rig.open_day(3)
    filled = {minutes.halve() for _ in range(3)}
    rig.close_day(3)
    rig.pass_days(4)
    lower = {minutes.halve() for _ in range(3)}

    assert first == filled == lower
    assert len(first) == 1
    assert rig.held() == 5
    assert "AAPL was reduced in this drawdown already" in caplog.text


def test_new_peak_arms_the_reduction_again(rig: AlgorithmRig) -> None:
    minutes = Minutes(rig)
    rig.pass_days(2)
    first = minutes.halve()
    rig.pass_days(3, 4, 5)
    assert rig.account.peak > 1500
    rig.pass_days(6)
    second = [minutes.halve(), minutes.halve()]
    rig.pass_days(7)

    assert second[0] == second[1] != first
    assert rig.held() == d("2.5")


def test_reduction_without_restraint_is_placed_each_time(rig: AlgorithmRig) -> None:
    minutes = Minutes(rig, "rebalance", once=False)
    rig.pass_days(2)
    first = minutes.halve()
    rig.pass_days(3)

    assert minutes.halve() != first
    assert rig.ledger.orders("main")[-1].quantity == d("2.5")


def test_tasks_and_symbols_have_reductions_of_their_own() -> None:
    rig = AlgorithmRig([*history(10, 10, 8), *history(10, 10, 8, symbol="IBM")])
    rig.pass_days(0)
    rig.algorithm(task="entry").set_target_weights({"AAPL": 0.4, "IBM": 0.4})
    rig.pass_days(1, 2)
    orders = [
        rig.algorithm(task=task, run=f"{task}-1", once=True).create_sell_order(
            symbol, percentage=0.5
        )
        for task in ("risk_one", "risk_two")
        for symbol in ("AAPL", "IBM")
    ]

    assert len({order.id for order in orders}) == 4


def test_second_percentage_sale_in_the_same_run_is_the_first_one(rig: AlgorithmRig) -> None:
    """The page's manager sells half for the drawdown, and then what is above its largest size."""
    rig.pass_days(2)
    algorithm = rig.algorithm(task="risk_manager", run="one", once=True)
    orders = [algorithm.create_sell_order("AAPL", percentage=p) for p in (0.5, 0.9)]

    assert orders[0].id == orders[1].id
    assert orders[0].quantity == 5


def test_second_attempt_of_the_reducing_run_gets_its_order(rig: AlgorithmRig) -> None:
    rig.pass_days(2)
    ids = []
    for fence in (1, 2):
        algorithm = rig.algorithm(task="risk_manager", run="one", fence=fence, once=True)
        ids.append(algorithm.create_sell_order("AAPL", percentage=0.5).id)
    other = Minutes(rig).halve()

    assert {*ids, other} == {ids[0]}


def test_reduction_survives_a_restart(rig: AlgorithmRig) -> None:
    minutes = Minutes(rig)
    rig.pass_days(2)
    first = minutes.halve()
    # Another process: a new desk on the same ledger, walked to the same instant.
    rig.desk = Desk(ledger=rig.ledger, clock=rig.clock)
    rig.account = rig.desk.add(AccountTerms(cash=d(1500)), rig.account.broker)
    rig.pass_days(3)

    assert minutes.halve() == first
    assert rig.held() == 5


def test_reduction_that_was_cancelled_before_it_traded_is_placed_again(rig: AlgorithmRig) -> None:
    minutes = Minutes(rig)
    rig.pass_days(2)
    first = minutes.halve()
    rig.algorithm(task="person").cancel_order(first)
    second = minutes.halve()

    assert second != first
    assert minutes.halve() == second


def test_reduction_that_was_refused_leaves_the_next_run_free(rig: AlgorithmRig) -> None:
    minutes = Minutes(rig)
    rig.pass_days(2)
    blocking = rig.algorithm(task="entry", run="x").create_limit_order("AAPL", 200, "sell", 10)
    with pytest.raises(InsufficientPosition):
        minutes.halve()
    rig.algorithm(task="entry", run="y").cancel_order(blocking)

    assert minutes.halve() == minutes.halve()


def test_cancelling_all_spares_the_tasks_own_reductions(rig: AlgorithmRig) -> None:
    """The page's manager cancels all orders before each reduction, its own of a minute ago too."""
    minutes = Minutes(rig)
    rig.pass_days(2)
    reduction = minutes.halve()
    foreign = rig.algorithm(task="entry", run="x").create_limit_order("AAPL", 200, "sell", 1)
    manager = rig.algorithm(task="risk_manager", run="later", once=True)

    assert [order.id for order in manager.cancel_all_orders()] == [foreign.id]
    assert minutes.halve() == reduction
    assert [o.id for o in rig.algorithm(task="person").cancel_all_orders()] == [reduction]


def test_sale_by_quantity_is_no_reduction(rig: AlgorithmRig) -> None:
    rig.pass_days(2)
    algorithm = rig.algorithm(task="risk_manager", once=True)
    orders = [algorithm.create_sell_order("AAPL", quantity=1) for _ in range(2)]

    assert orders[0].id != orders[1].id


def test_position_that_was_trimmed_is_still_halved_in_the_crash_that_follows() -> None:
    """Both are percentage sales of the same task, and of the same peak: two decisions."""
    rig = AlgorithmRig(history(100, 100, 100, 60, 60, 60), cash=d(1000))
    rig.pass_days(0)
    rig.algorithm(task="entry", run="entry").create_buy_order("AAPL", quantity=10)
    rig.pass_days(1)
    manager = rig.algorithm(task="risk_manager", run="trim", once=True)
    trim = manager.create_sell_order("AAPL", percentage=0.2)
    again = rig.algorithm(task="risk_manager", run="trim-2", once=True)
    while_it_works = again.create_sell_order("AAPL", percentage=0.5)
    rig.pass_days(2, 3)
    minutes = Minutes(rig)
    halved = {minutes.halve() for _ in range(3)}
    rig.pass_days(4)
    halved |= {minutes.halve() for _ in range(3)}

    assert while_it_works.id == trim.id
    assert len(halved) == 1
    assert trim.id not in halved
    assert rig.held() == 4
