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
    assert found[0]["made_at"] == "2023-11-14T22:14:21Z"
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


# --- running one --------------------------------------------------------------------------

TRADING_DESK = """
from closingbell import Skip, create_app

app = create_app("sqlite:///desk.db", timezone="America/New_York", guardian=False)

@app.task(session="XNYS close", priority=2)
def hold(algorithm):
    if algorithm.get_position("IBM"):
        return Skip("held")
    print("buying")
    algorithm.order_target_percent("IBM", 0.5)

@app.task(session="XNYS open", retries=0)
def break_down(algorithm):
    raise ValueError("no feed")
"""
MARCH = ("--from", "2012-03-05", "--to", "2012-03-09")


@pytest.fixture
def trading(desk: Path) -> Path:
    """The working folder with a desk that trades."""
    (desk / "desk.py").write_text(TRADING_DESK)
    return desk


def stored(command: Command) -> list[str]:
    """The names of stored backtests; the database may not be there at all."""
    if not Path("desk.db").exists():
        return []
    found = command("backtest", "list", *ON_DESK, "--json").json["backtests"]
    return [each["name"] for each in found]


def test_backtest_tells_its_summary_and_is_stored(trading: Path, command: Command) -> None:
    answer = command("backtest", "desk:app", *MARCH, "--name", "march", "--html", "march.html")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("march (")
    assert "2012-03-05 to 2012-03-09, seed 0" in answer.out
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "hold 5 1 0 4 held (4)" in lines
    assert any(line.startswith("break_down 5 0 5 0") for line in lines)
    assert "buying" not in answer.out, "what tasks print is no data"
    assert "march.html" in answer.err
    assert "no feed" in (trading / "march.html").read_text("utf-8")
    stored = command("backtest", "list", *ON_DESK, "--json").json["backtests"]
    assert [each["name"] for each in stored] == ["march"]
    assert stored[0]["id"] in answer.out
    shown = command("backtest", "show", stored[0]["id"], *ON_DESK)
    assert shown.out == answer.out
    orders = command("backtest", "trades", stored[0]["id"], *ON_DESK).out.splitlines()
    assert len(orders) == 2
    assert "2012-03-06 09:30:00 EST" in orders[1], "the open after the close that decided"


def test_same_backtest_is_stored_once_and_its_json_is_the_same(
    trading: Path, command: Command
) -> None:
    first, second = (command("backtest", "desk", *MARCH, "--json") for _ in range(2))
    assert first.code == 0, first.err
    assert first.out == second.out
    assert len(command("backtest", "list", *ON_DESK, "--json").json["backtests"]) == 1
    seeded = command("backtest", "desk", *MARCH, "--json", "--seed", "5").json
    assert seeded["id"] != first.json["id"]
    assert seeded["accounts"] == first.json["accounts"], "nothing of it is left to chance"


def test_backtest_need_not_be_stored(trading: Path, command: Command) -> None:
    answer = command(
        "backtest", "--app", "desk", *MARCH, "--no-store", "--cash", "2500.50", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.json["accounts"]["main"]["metrics"]["initial_value"] == "2500.5"
    assert stored(command) == []


def test_backtest_on_prices_of_a_file(trading: Path, command: Command) -> None:
    rows = ["symbol,date,open,high,low,close,volume"]
    rows += [f"IBM,2012-03-{day:02},100,120,99,{100 + day},1000" for day in (5, 6, 7, 8, 9)]
    (trading / "prices.csv").write_text("\n".join(rows) + "\n")
    answer = command(
        "backtest", "desk", "--data", "prices.csv", "--symbols", "IBM", "--no-store", "--json"
    )
    assert answer.code == 0, answer.err
    main = answer.json["accounts"]["main"]
    assert (main["trades"], main["positions"][0]["price"]) == (1, "109")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2012-03-09", "--to", "2012-03-05"), "after start"),
        (("--from", "2031-01-01", "--to", "2031-02-01"), "meets the data"),
        (("--from", "last week"), "ISO text"),
        ((*MARCH, "--symbols", "IBN"), "did you mean 'IBM'?"),
        ((*MARCH, "--timeframe", "soon"), "timeframe"),
        ((*MARCH, "--cash", "-5"), "above 0"),
        ((*MARCH, "--data", "none.csv"), "none.csv"),
    ],
)
def test_backtest_that_cannot_be_run_says_why_and_stores_nothing(
    trading: Path, command: Command, words: tuple[str, ...], said: str
) -> None:
    answer = command("backtest", "desk", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert stored(command) == []


def test_page_without_a_place_is_refused_before_anything_runs(
    trading: Path, command: Command
) -> None:
    answer = command("backtest", "desk", *MARCH, "--html", "nowhere/page.html")
    assert answer.code == 2
    assert "buying" not in answer.err
    assert not (trading / "desk.db").exists()
