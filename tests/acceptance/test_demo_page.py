"""The demo's page: the portfolio at an address of this machine, and nowhere else."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from closingbell.demo.desk import ZONE, make_desk
from closingbell.demo.page import DeskPage


@pytest.fixture
def page(tmp_path: Path) -> Iterator[DeskPage]:
    """The page of a desk that stands still."""
    clock = SimulatedClock(datetime(2012, 11, 21, 6, tzinfo=ZoneInfo(ZONE)))
    app: App = make_desk(tmp_path / "desk.db", clock)
    report = tmp_path / "backtest.html"
    report.write_text("<p>the report</p>")
    try:
        with app.running(), DeskPage(app, report) as shown:
            yield shown
    finally:
        app.stop()


def ask(address: str, host: str | None = None) -> str:
    request = urllib.request.Request(address, headers={} if host is None else {"Host": host})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_page_shows_what_the_account_is_worth(page: DeskPage) -> None:
    assert page.address.startswith("http://127.0.0.1:")
    assert "5,000,000.00" in ask(page.address)


def test_page_serves_the_backtest_beside_it(page: DeskPage) -> None:
    assert ask(page.address + "backtest.html") == "<p>the report</p>"


@pytest.mark.parametrize(
    ("path", "host", "code"), [("desk.db", None, 404), ("", "desk.example", 421)]
)
def test_page_answers_nothing_else_and_no_other_name(
    page: DeskPage, path: str, host: str | None, code: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(page.address + path, host)
    refused.value.close()
    assert refused.value.code == code
