"""StrategyDeployment: only what passed goes on, and what loses is taken back with its positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from closingbell.core.error import TaskDefinitionError
from closingbell.core.outcome import Cancelled, Skipped
from closingbell.tasks.strategy_deployment import StrategyDeployment
from closingbell.tasks.strategy_stage import Gate, Standing, Version, metrics_of
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.terms import AccountTerms
from tests.unit.tasks.desk_rig import DeskRig

D = Decimal
GOOD = {"sharpe": 1.2, "max_drawdown": -0.1, "round_trips": 40, "total_return": 0.3}
BAD = {"sharpe": 0.2, "max_drawdown": -0.4, "round_trips": 3, "total_return": None}
GATE = Gate(min_sharpe=0.5, max_drawdown=0.25, min_trades=10, min_return=0.0)


def hold(algorithm: Any, share: float) -> str | None:
    """A strategy: hold so much of AAPL."""
    order = algorithm.order_target_percent("AAPL", share)
    return None if order is None else order.id


class Desk(DeskRig):
    """A desk with an account for paper and one for live trading."""

    def __init__(self, *backtested: dict[str, Any]) -> None:
        super().__init__()
        self.desk.add(AccountTerms(name="paper", calendar="24/7"), PaperBroker())
        self.deployment = StrategyDeployment(
            hold,
            [
                Version(name="1", parameters={"share": 0.5}),
                Version(name="2", parameters={"share": 0.8}),
            ],
            gate=GATE,
            backtest="momentum_backtest",
            name="momentum",
        )
        self.paper, self.live = self.deployment.stage_tasks(interval="1h")
        self.tick(100)
        runs = [
            {"parameters": {"share": share}, "metrics": metrics}
            for share, metrics in zip((0.5, 0.8), backtested, strict=False)
        ]
        self.results["momentum_backtest"] = msgspec.json.encode({"runs": runs}).decode()

    def tick(self, price: float) -> None:
        self.price("main", AAPL=price)
        self.price("paper", AAPL=price)

    def act(self, action: str = "look", version: str | None = None) -> Any:
        return self.run(self.deployment, action=action, **({"version": version} if version else {}))

    def to_live(self, version: str) -> None:
        for _ in range(2):
            self.act("promote", version)
            self.days(21)

    @property
    def stages(self) -> dict[str, str]:
        values = self.last_result("momentum")["versions"]
        return {name: standing["stage"] for name, standing in values.items()}


def test_draft_whose_backtest_passes_the_gate_is_backtested() -> None:
    desk = Desk(GOOD, BAD)
    desk.act()
    desk.act()

    assert desk.stages == {"1": "backtested", "2": "draft"}
    assert [alert.message for alert in desk.alerts] == [
        "version 2 of momentum does not pass: its Sharpe ratio is 0.2000, below 0.5; its drawdown "
        "is -0.4000, beyond 0.25; it closed 3 positions, fewer than 10; its return is not known, "
        "below 0.0"
    ]


def test_draft_without_a_backtest_stays_one_and_cannot_be_promoted() -> None:
    desk = Desk()
    desk.act()

    assert desk.stages == {"1": "draft", "2": "draft"}
    assert desk.act("promote", "1") == Cancelled(
        "1 is draft: only what is backtested goes to paper, and only what is on paper goes live"
    )
    assert desk.stages == {"1": "draft", "2": "draft"}


def test_stage_tasks_trade_the_version_of_their_stage_in_their_account() -> None:
    desk = Desk(GOOD)
    desk.act()
    idle = desk.run(desk.paper)
    desk.act("promote", "1")
    on_paper, on_live = desk.run(desk.paper), desk.run(desk.live)
    desk.tick(100)

    assert idle == Skipped("no version of momentum is at stage paper")
    assert on_paper["version"] == "1"
    assert on_live == Skipped("no version of momentum is at stage live")
    assert [p.quantity for p in desk.algorithm("x", "paper").get_positions()] == [50]
    assert desk.algorithm("x", "main").get_positions() == []


def test_version_goes_live_only_after_its_time_on_paper() -> None:
    desk = Desk(GOOD)
    desk.act()
    desk.act("promote", "1")
    desk.days(19)
    refused = desk.act("promote", "1")
    desk.days(1)
    desk.act("promote", "1")

    assert isinstance(refused, Cancelled)
    assert "on paper since" in refused.reason
    assert desk.stages["1"] == "live"


def test_version_that_loses_is_rolled_back_and_its_predecessor_trades_again() -> None:
    desk = Desk(GOOD, GOOD)
    desk.act()
    for version in ("1", "2"):
        desk.to_live(version)
    desk.act()
    desk.run(desk.live)
    desk.tick(100)
    before = desk.stages
    resting = desk.algorithm("x").create_sell_order("AAPL", quantity=1, stop_price=1)
    # 80 % in stock that falls by 15 % is a loss of 12 %.
    desk.tick(85)
    moved = desk.act()["moved"]
    desk.tick(85)
    after = desk.act()["moved"]
    look = desk.algorithm("x")

    assert before == {"1": "retired", "2": "live"}
    assert [(one["version"], one["from"], one["to"]) for one in moved] == [
        ("2", "live", "rolled_back"),
        ("1", "retired", "live"),
    ]
    assert after == []
    assert look.get_positions() == []
    assert look.get_order(resting.id).state == "cancelled"  # type: ignore[union-attr]
    assert desk.run(desk.live)["version"] == "1"
    assert desk.alerts[-1].message == (
        "version 2 of momentum was rolled back from live: it lost 12.00% since its best, and "
        "10.00% are allowed"
    )


def test_loss_before_a_version_went_live_is_not_its_own() -> None:
    desk = Desk(GOOD)
    desk.act()
    desk.buy("AAPL", 100)
    desk.tick(50)
    desk.to_live("1")
    desk.act()
    desk.desk.deposit("main", 1_000)
    desk.act()

    assert desk.stages["1"] == "live"


def test_version_whose_run_fails_is_rolled_back() -> None:
    desk = Desk(GOOD)
    desk.act()
    desk.to_live("1")
    desk.act()
    at = desk.clock.now()
    desk.status = {"momentum_live": {"last_error": "KeyError: 'x'", "last_run": at}}
    desk.act()

    assert desk.stages["1"] == "rolled_back"
    assert "its run failed: KeyError: 'x'" in desk.alerts[-1].message


def test_failure_before_a_version_went_live_is_not_its_own() -> None:
    desk = Desk(GOOD)
    desk.status = {"momentum_live": {"last_error": "KeyError: 'x'", "last_run": desk.clock.now()}}
    desk.act()
    desk.days(1)
    desk.to_live("1")
    desk.act()

    assert desk.stages["1"] == "live"


def test_order_that_was_under_way_in_the_roll_back_is_taken_back_at_the_next_look() -> None:
    desk = Desk(GOOD)
    desk.act()
    desk.to_live("1")
    desk.act("roll_back", "1")
    # A run of the version that had begun before still trades.
    desk.algorithm("momentum_live").order_target_percent("AAPL", 0.5)
    desk.tick(100)
    desk.act()
    desk.tick(100)

    assert desk.algorithm("x").get_positions() == []
    desk.buy("AAPL", 1)
    desk.act()
    desk.tick(100)
    assert len(desk.algorithm("x").get_positions()) == 1, "once is enough: this one is a person's"


@pytest.mark.parametrize(
    ("action", "version", "reason"),
    [
        ("promote", None, "expected one of the versions 1, 2, found None"),
        ("promote", "3", "expected one of the versions 1, 2, found '3'"),
        ("roll_back", "1", "1: what is draft cannot be rolled_back, only backtested or retired"),
    ],
)
def test_move_that_cannot_be_cancels_the_run_and_changes_nothing(
    action: str, version: str | None, reason: str
) -> None:
    desk = Desk()
    desk.act()

    assert desk.act(action, version) == Cancelled(reason)
    assert desk.stages == {"1": "draft", "2": "draft"}


def test_version_that_is_no_longer_declared_keeps_its_standing_and_does_not_trade() -> None:
    desk = Desk(GOOD)
    desk.act()
    desk.act("promote", "1")
    del desk.deployment.versions["1"]
    skipped = desk.run(desk.paper)
    desk.act()

    assert skipped == Skipped("no version of momentum is at stage paper")
    assert desk.stages == {"1": "paper", "2": "draft"}


@pytest.mark.parametrize("names", [[], ["1", "1"]])
def test_versions_that_cannot_be_told_apart_are_refused_at_once(names: list[str]) -> None:
    versions = [Version(name=name) for name in names]
    with pytest.raises(TaskDefinitionError, match="each named differently"):
        StrategyDeployment(hold, versions, gate=GATE, backtest="x")


def test_growth_leaves_deposits_out_and_ends_with_the_account() -> None:
    standing = Standing()
    for value, flows in ((100, 0), (110, 0), (210, 100), (105, 100)):
        standing = standing.looked_at(D(value), D(flows))
    halved = standing
    emptied = standing.looked_at(D(-5), D(100))

    assert (D(halved.growth), D(halved.peak), halved.drawdown) == (D("0.55"), D("1.1"), D("0.5"))
    assert (emptied.drawdown, emptied.looked_at(D(50), D(100)).drawdown) == (D(1), D(1))


def test_newest_backtest_of_the_same_parameters_counts() -> None:
    rows = [
        {"parameters": {"a": 1}, "metrics": BAD},
        {"parameters": {"a": 2}, "metrics": BAD},
        {"parameters": {"a": 1}, "metrics": GOOD},
    ]

    assert metrics_of(rows, Version(name="1", parameters={"a": 1})) == GOOD
    assert metrics_of(rows, Version(name="3", parameters={"a": 3})) is None
