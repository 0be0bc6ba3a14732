"""The report's page: figures are right, nothing breaks it, and no text becomes markup."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from closingbell.tasks.report_page import PositionLine, ReportPage, TradeLine

D = Decimal
at = datetime.fromisoformat


def page(**values: Any) -> ReportPage:
    given: dict[str, Any] = {
        "title": "Daily report",
        "account": "main",
        "currency": "USD",
        "begins_at": at("2012-11-22T16:00"),
        "ends_at": at("2012-11-23T13:00"),
        "opening": D(10_000),
        "flows": D(500),
        "closing": D(10_750),
        "deposits": D(5_500),
        "initial": D(5_000),
        "peak": D(21_500),
        "cash": D(1_000),
        "exposure": D(9_750),
        "realized": D(100),
        "unrealized": D("-20"),
    }
    return ReportPage(**{**given, **values})


BUSY = {
    "positions": [PositionLine("AAPL", D("2.500"), D("560.1"), D("1428.83"), D("28.58"))],
    "trades": [
        TradeLine(at("2012-11-23T09:30"), "AAPL", "buy", D("2.5"), D("571.53"),
                  D("1428.83"), D("1.43")),
        TradeLine(at("2012-11-23T09:30"), "IBM", "sell", D(1), D("190.5"), D("190.5"),
                  D("0.19")),
    ],
    "failures": [("<b>sync</b>", "ValueError: no price & no hope")],
}  # fmt: skip


def test_gain_of_a_report_leaves_deposits_out() -> None:
    found = page()

    assert (found.gain, found.change) == (D(250), D("0.025"))
    assert found.subject == "Daily report 2012-11-23: 10,750.00 USD, +2.50%"


@pytest.mark.parametrize(
    ("opening", "gain", "change"),
    [(None, None, None), (D(0), D(10_250), None), (D(-50), D(10_300), None)],
)
def test_report_without_an_opening_value_names_no_return(
    opening: Decimal | None, gain: Decimal | None, change: None
) -> None:
    found = page(opening=opening)

    assert (found.gain, found.change) == (gain, change)
    assert found.subject == "Daily report 2012-11-23: 10,750.00 USD"


def test_text_of_a_busy_day_lists_positions_trades_and_failures() -> None:
    text = page(**BUSY).to_text()

    for line in (
        "Value                      10,750.00 USD",
        "Gain                       +250.00 USD (+2.50%)",
        "Since the beginning        +115.00%",
        "Below the peak             50.00%",
        "Volume                     1,619.33 USD",
        "Fees                       1.62 USD",
        "  AAPL    2.5       560.1000  1,428.83  +28.58",
        "  11-23 09:30  AAPL    buy   2.5       571.5300  1.43",
        "  <b>sync</b>  ValueError: no price & no hope",
    ):
        assert line in text.splitlines()


def test_text_of_an_empty_account_has_no_tables() -> None:
    text = page(opening=D(0), closing=D(0), initial=D(0), peak=D(0), flows=D(0)).to_text()

    assert "Positions\n" not in text
    assert "Below the peak 0.00%" in [" ".join(line.split()) for line in text.splitlines()]
    assert "Since the beginning" not in text


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_shows_names_and_errors_as_text() -> None:
    reader = _Cells()
    reader.feed(page(**BUSY).to_html())

    assert {"<b>sync</b>", "ValueError: no price & no hope", "1,428.83"} <= set(reader.texts)
    assert "script" not in reader.tags
    assert "link" not in reader.tags
