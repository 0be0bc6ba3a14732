"""RiskScan: figures of an account by hand, alerts that are told once, and what cannot be told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import TaskDefinitionError
from closingbell.tasks.risk_scan import RiskScan
from tests.unit.tasks.desk_rig import DeskRig

D = Decimal
#: A hundred days that fall by 1 % and rise by 2 % in turn; and their mirror.
WAVES = [0.99 if number % 2 else 1.02 for number in range(100)]


def series(start: float, factors: list[float]) -> list[str]:
    prices = [start]
    for factor in factors:
        prices.append(prices[-1] * factor)
    return [f"{price:.6f}" for price in prices]


def invested(aapl: Any = 60, ibm: Any = 40) -> DeskRig:
    rig = DeskRig(short=True)
    rig.price(AAPL=100, IBM=50)
    for symbol, quantity in (("AAPL", aapl), ("IBM", ibm)):
        if quantity:
            rig.buy(symbol, quantity)
    return rig


def test_scan_of_an_account_without_history_tells_what_can_be_told() -> None:
    rig = invested()
    found = rig.run(RiskScan())

    assert found["drawdown"] == "0"
    assert D(found["weight"]) == D("0.6")
    assert D(found["herfindahl"]) == D("0.625")
    assert D(found["exposure"]) == 8_000
    assert [found[name] for name in ("correlated", "value_at_risk", "expected_shortfall")] == [
        None,
        None,
        None,
    ]
    assert found["breaches"] == ["weight"]
    assert [alert.data["figure"] for alert in rig.alerts] == ["weight"]


def test_scan_with_history_finds_correlation_and_value_at_risk() -> None:
    rig = invested()
    rig.store("AAPL", series(100, WAVES))
    rig.store("IBM", series(50, WAVES))
    found = rig.run(RiskScan())

    # Both move alike, and on half of the days 8,000 lose 1 %.
    assert D(found["correlated"]) == D("0.8")
    assert float(found["value_at_risk"]) == pytest.approx(0.008, rel=1e-3)
    assert float(found["expected_shortfall"]) == pytest.approx(0.008, rel=1e-3)
    assert found["breaches"] == ["weight", "correlated"]


def test_short_position_in_what_moves_alike_is_no_correlation() -> None:
    rig = invested(60, -40)
    rig.store("AAPL", series(100, WAVES))
    rig.store("IBM", series(50, WAVES))

    assert D(rig.run(RiskScan())["correlated"]) == 0


def test_split_in_the_history_is_no_loss() -> None:
    from closingbell.core.bar import Split
    from closingbell.core.clock import to_micros
    from tests.unit.tasks.desk_rig import START

    halved = Split("AAPL", to_micros(START) - 30 * 86_400_000_000, D(2))
    rig = DeskRig(actions=(halved,))
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    before, after = series(200, WAVES)[:70], series(100, WAVES)[70:]
    rig.store("AAPL", [*before, *after])

    assert float(rig.run(RiskScan())["value_at_risk"]) == pytest.approx(0.005, rel=1e-2)


def test_history_that_grew_is_read_again() -> None:
    rig, task = invested(aapl=60, ibm=0), RiskScan(least_days=5)
    rig.store("AAPL", series(100, WAVES)[:50])
    first = rig.run(task)["value_at_risk"]
    rig.days(1)
    rig.store("AAPL", [50])

    assert rig.run(task)["value_at_risk"] != first


def test_exposure_above_the_events_threshold_is_an_alert() -> None:
    rig = invested()
    found = rig.run(RiskScan(max_weight=None), threshold="7000")

    assert found["breaches"] == ["exposure"]
    assert rig.alerts[0].message == "the exposure is above its limit of 7000"


def test_figure_that_stays_above_its_limit_is_told_once_and_again_after_it_was_within() -> None:
    rig, task = invested(), RiskScan(max_drawdown=0.1, max_weight=None)
    told = []
    for price in (80, 79, 82, 84, 78, 95, 79):
        rig.price(AAPL=price)
        rig.run(task)
        told.append(len(rig.alerts))

    assert told == [1, 1, 1, 1, 1, 1, 2]


def test_scan_of_an_empty_account_finds_nothing() -> None:
    found = DeskRig(cash=0).run(RiskScan())

    assert found == {
        "drawdown": "0",
        "weight": "0",
        "herfindahl": "0",
        "exposure": "0",
        "correlated": "0",
        "value_at_risk": "0",
        "expected_shortfall": "0",
        "breaches": [],
    }


def test_scan_of_an_account_worth_less_than_nothing_finds_every_share_too_large() -> None:
    rig = DeskRig(cash=1_000, short=True)
    rig.price(AAPL=10)
    rig.buy("AAPL", -90)
    rig.store("AAPL", series(10, WAVES))
    rig.price(AAPL=30)
    found = rig.run(RiskScan())

    assert D(found["drawdown"]) > 1
    assert found["weight"] == found["value_at_risk"] == "Infinity"
    assert found["breaches"] == ["drawdown", "weight", "value_at_risk"]


@pytest.mark.parametrize(
    "wrong", [{"correlation": 0}, {"confidence": 1}, {"least_days": 1}, {"days": 10}]
)
def test_argument_that_cannot_be_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError, match="risk_scan"):
        RiskScan(**wrong)
