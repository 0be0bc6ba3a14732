"""`backtest ...`: stored backtests, shown, compared and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from closingbell import create_app
from closingbell.simulation.report import Report, report_of
from tests.unit.cli.conftest import Command
from tests.unit.simulation.example import TRADER, trend_result

ON_DESK = ("--database", "desk.db")


@pytest.fixture(scope="module")
def slow() -> Report:
    return report_of(trend_result(), name="slow")


@pytest.fixture(scope="module")
def fast() -> Report:
    return report_of(trend_result(days=50), name="fast")


@pytest.fixture
def shelf(desk: Path, slow: Report, fast: Report) -> Path:
    """The desk's folder with two stored backtests."""
    app = create_app("sqlite:///desk.db")
    for minute, report in enumerate((slow, fast)):
        at = 1_700_000_000_000_000 + minute * 60_000_000
        app.store.backtests.put(report.record(at, at + 1_000_000), report.pages())
    app.stop(0.0)
    return desk


# --- which command is meant ---------------------------------------------------------------


def test_help_of_the_plain_form_names_its_options_and_the_other_commands(command: Command) -> None:
    told = " ".join(command("backtest", "--help").out.split())
    for said in ("--from", "--to", "--html", "compare", "firings", "historical prices"):
        assert said in told


def test_slip_of_the_pen_is_an_unknown_command(command: Command) -> None:
    answer = command("backtest", "shwo")
    assert (answer.code, answer.out) == (2, "")
    assert "'show'" in answer.err


def test_target_that_leads_nowhere_is_refused(desk: Path, command: Command) -> None:
    for words in (("nowhere:app",), ("nowhere.py", "--seed", "1"), ("--app", "nowhere:app")):
        answer = command("backtest", *words)
        assert answer.code == 2
        assert "error[invalid_target]" in answer.err


def test_plain_form_without_a_target_asks_for_one(desk: Path, command: Command) -> None:
    answer = command("backtest", "--from", "2012-01-03")
    assert answer.code == 2
    assert "CLOSINGBELL_APP" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cash", "much"), "invalid cash 'much'"),
        (("--symbols", " , "), "invalid symbols"),
        (("--seed", "one"), "--seed"),
    ],
)
def test_option_that_cannot_be_read_is_refused(
    desk: Path, command: Command, words: tuple[str, ...], said: str
) -> None:
    answer = command("backtest", "desk", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# --- stored ones --------------------------------------------------------------------------


def test_list_has_the_newest_first(
    shelf: Path, command: Command, slow: Report, fast: Report
) -> None:
    lines = command("backtest", "list", *ON_DESK).out.splitlines()
    assert lines[0].split() == [
        "ID", "NAME", "WINDOW", "RETURN", "SHARPE", "DRAWDOWN", "TRADES", "MADE",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [fast.id, slow.id]
    assert "27.30%" in lines[2]
    found = command("backtest", "list", *ON_DESK, "--json", "-n", "1").json["backtests"]
    assert [each["id"] for each in found] == [fast.id]
    assert found[0]["finished_at"] == "2023-11-14T22:14:21+00:00"
    assert found[0]["metrics"]["worst_day_at"].startswith("20")


def test_list_of_none_says_so(desk: Path, command: Command) -> None:
    app = create_app("sqlite:///desk.db")
    app.store.backtests.recent()
    app.stop(0.0)
    answer = command("backtest", "list", *ON_DESK)
    assert (answer.code, answer.out) == (0, "")
    assert "no backtests are stored" in answer.err


def test_show_tells_the_summary_by_the_first_letters(
    shelf: Path, command: Command, slow: Report
) -> None:
    answer = command("backtest", "show", slow.id[:5], *ON_DESK)
    assert answer.out == slow.summary()
    document = command("backtest", "show", slow.id, *ON_DESK, "--json").json
    metrics = document["accounts"]["main"]["metrics"]
    assert metrics["profit"] == "27299.0775"
    assert metrics["max_drawdown_peak_at"] == "2004-01-26T21:00:00+00:00"
    assert document["tasks"][TRADER]["failed"] == 1
    assert document["firings"] == slow.firing_count


def test_compare_tells_what_differs(
    shelf: Path, command: Command, slow: Report, fast: Report
) -> None:
    answer = command("backtest", "compare", slow.id, fast.id, *ON_DESK, "--html", "both.html")
    assert answer.code == 0
    assert "the trades part at 2003-05-12 16:00" in answer.out
    assert "Equity, USD" in (shelf / "both.html").read_text("utf-8")
    document = command("backtest", "compare", slow.id, fast.id, *ON_DESK, "--json").json
    assert document["inputs"] == [{"name": "days", "left": 100, "right": 50}]
    assert document["parting"]["right"]["at"] == "2003-05-12T20:00:00+00:00"
    assert document["figures"]["best_day_at"]["left"] == "2007-10-26T20:00:00+00:00"


def test_html_writes_the_page(shelf: Path, command: Command, slow: Report) -> None:
    answer = command("backtest", "html", slow.id, "page.html", *ON_DESK, "--json")
    assert answer.json == {"id": slow.id, "html": "page.html"}
    assert (shelf / "page.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("file", ["nowhere/page.html", "."])
def test_page_that_has_no_place_is_refused(
    shelf: Path, command: Command, slow: Report, file: str
) -> None:
    answer = command("backtest", "html", slow.id, file, *ON_DESK)
    assert answer.code == 2
    assert "a file in a folder that is there" in answer.err


def test_trades_are_listed_by_symbol(shelf: Path, command: Command, slow: Report) -> None:
    lines = command("backtest", "trades", slow.id, *ON_DESK, "--symbol", "IBM").out.splitlines()
    assert len(lines) == 1 + sum(trade.symbol == "IBM" for trade in slow.trades)
    assert "trend_follower" in lines[1]
    first = command("backtest", "trades", slow.id, *ON_DESK, "--json").out.splitlines()[0]
    assert json.loads(first) | {"run_id": "", "order_id": ""} == {
        "at": "2003-07-28T20:00:00+00:00", "account": "main", "side": "buy", "symbol": "MSFT",
        "quantity": "1877", "price": "26.61", "amount": "49946.97", "fee": "24.97",
        "currency": "USD", "task": "trend_follower", "run_id": "", "order_id": "",
    }  # fmt: skip


def test_firings_are_filtered_and_limited(shelf: Path, command: Command, slow: Report) -> None:
    words = ("backtest", "firings", slow.id, *ON_DESK)
    failed = command(*words, "--state", "failed", "--json").out.splitlines()
    assert [json.loads(line)["reason"] for line in failed] == ["ConnectionError: reset by peer"]
    skipped = command(*words, "--task", TRADER, "--state", "skipped", "-n", "3").out.splitlines()
    assert len(skipped) == 4
    assert all("not a Monday" in line for line in skipped[1:])
    assert len(command(*words, "--json").out.splitlines()) == slow.firing_count


def test_removed_backtest_is_gone(shelf: Path, command: Command, slow: Report) -> None:
    assert command("backtest", "rm", slow.id[:6], *ON_DESK).code == 0
    assert command("backtest", "show", slow.id, *ON_DESK).code == 3
    assert len(command("backtest", "list", *ON_DESK, "--json").json["backtests"]) == 1


def test_backtest_that_is_not_there_is_not_found(
    shelf: Path, command: Command, slow: Report
) -> None:
    for words in (
        ("show", "nope"), ("rm", "nope"), ("trades", "nope"), ("firings", "nope"),
        ("html", "nope", "page.html"), ("compare", slow.id, "nope"),
    ):  # fmt: skip
        answer = command("backtest", *words, *ON_DESK)
        assert answer.code == 3, words
        assert "error[unknown_backtest]" in answer.err
    assert not (shelf / "page.html").exists()
    assert command("backtest", "trades", slow.id, "--account", "x", *ON_DESK).code == 3


def test_database_that_is_not_there_is_not_made(desk: Path, command: Command) -> None:
    answer = command("backtest", "list", "--database", "none.db")
    assert answer.code == 4
    assert not (desk / "none.db").exists()
