"""Comparison: what two backtests differ in, and where they part."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from closingbell.core.error import UnknownAccount
from closingbell.simulation.comparison import Comparison, compare
from closingbell.simulation.report import Report, report_of
from closingbell.simulation.result import SimulationResult
from tests.unit.simulation.example import trend_result


@pytest.fixture(scope="module")
def slow() -> Report:
    return report_of(trend_result(), name="slow")


@pytest.fixture(scope="module")
def fast() -> Report:
    return report_of(trend_result(days=50, seed=8, cash=Decimal(50_000)), name="fast")


@pytest.fixture(scope="module")
def comparison(slow: Report, fast: Report) -> Comparison:
    return slow.compare(fast)


def cut(result: SimulationResult, fills: int) -> SimulationResult:
    """The same result, with its journal ended after so many fills."""
    account = result.accounts["main"]
    shorter = replace(account, entries=list(account.entries)[: fills + 1])
    return replace(result, accounts={"main": shorter})


def test_inputs_that_differ_are_named(comparison: Comparison) -> None:
    found = {each.name: (each.left, each.right) for each in comparison.inputs}
    assert found == {"seed": (7, 8), "account.cash": ("100000", "50000"), "days": (100, 50)}


def test_inputs_that_only_one_has_are_named(slow: Report) -> None:
    result = trend_result()
    result.parameters = {**result.parameters, "data": {"source": "elsewhere"}, "fee": "0.1"}
    found = {each.name: (each.left, each.right) for each in slow.compare(report_of(result)).inputs}
    assert found["data.source"] == ("the shipped history", "elsewhere")
    assert found["data.sha256"] == ("5abadf99b2d3", None)
    assert found["fee"] == (None, "0.1")


def test_figures_stand_side_by_side_with_their_change(
    comparison: Comparison, slow: Report, fast: Report
) -> None:
    pairs = {pair.figure.name: pair for pair in comparison.figures}
    trips = pairs["round_trips"]
    assert (trips.left, trips.right, trips.change) == (55, 79, 24)
    assert slow.metrics.profit is not None
    assert fast.metrics.profit is not None
    assert pairs["profit"].change == fast.metrics.profit - slow.metrics.profit
    assert pairs["emptied_at"].change is None


def test_trades_part_at_the_first_that_differs(comparison: Comparison) -> None:
    parting = comparison.parting
    assert parting is not None
    assert parting.number == 1
    assert parting.left is not None
    assert parting.right is not None
    assert parting.at == min(parting.left.at, parting.right.at) == parting.right.at
    assert comparison.equity_parts_at == comparison.account[0].equity[0].at, "other cash"


@pytest.mark.parametrize("swapped", [False, True])
def test_trades_part_where_one_side_made_no_more(slow: Report, swapped: bool) -> None:
    shorter = report_of(cut(trend_result(), 10))
    pair = (shorter, slow) if swapped else (slow, shorter)
    parting = compare(*pair).parting
    assert parting is not None
    assert (parting.number, parting.at) == (11, slow.trades[10].at)
    assert (parting.left is None, parting.right is None) == (swapped, not swapped)
    assert "no more trades" in compare(*pair).text()


def test_same_backtest_differs_in_nothing(slow: Report) -> None:
    comparison = slow.compare(report_of(trend_result(), name="slow"))
    assert comparison.inputs == []
    assert comparison.parting is None
    assert comparison.equity_parts_at is None
    assert not any(pair.change for pair in comparison.figures)
    assert "the inputs are the same" in comparison.text()
    assert "every trade is the same" in comparison.text()


def test_text_tells_inputs_figures_and_the_parting(comparison: Comparison) -> None:
    lines = [" ".join(line.split()) for line in comparison.text().splitlines()]
    for line in (
        "days 100 50",
        "Round trips 55 79 +24",
        "Best day was 2007-10-26 2009-01-21 *",
        "the trades part at 2003-05-12 16:00, with trade 1:",
        "left: trend_follower buys 1877 MSFT at 26.61, 2003-07-28 16:00",
    ):
        assert line in lines


def test_comparison_is_json_too(comparison: Comparison) -> None:
    document = json.loads(comparison.to_json())
    assert document["figures"]["round_trips"] == {"left": 55, "right": 79, "change": 24}
    assert document["parting"]["left"]["symbol"] == "MSFT"
    assert comparison.to_json() == msgspec.json.encode(document, order="sorted")


def test_page_has_both_curves_and_the_parting(comparison: Comparison, tmp_path: Path) -> None:
    text = comparison.to_html(tmp_path / "compare.html").read_text("utf-8")
    assert '<path class="line main"' in text
    assert '<path class="line second"' in text
    assert "The trades part at <b>2003-05-12 16:00</b>" in text


def test_backtests_of_other_windows_are_drawn_over_both(slow: Report, tmp_path: Path) -> None:
    later = report_of(trend_result(start="2008-03-03T00:00:00-05:00"), name="later")
    page = slow.compare(later).to_html(tmp_path / "compare.html").read_text("utf-8")
    data = page.split('<script type="application/json">')[1].split("</script>")[0]
    curves = json.loads(data)["curves"]
    assert curves[0]["values"][0] == 100_000
    assert curves[1]["values"][0] is None, "it had not begun"


def test_account_that_one_of_them_lacks_is_refused(slow: Report, fast: Report) -> None:
    with pytest.raises(UnknownAccount):
        compare(slow, fast, "hedge")
