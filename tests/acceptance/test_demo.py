"""The demo keeps its promises: three of its days, and what its database says about them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from closingbell.core.book import Book
from closingbell.core.clock import SystemClock
from closingbell.demo.desk import WEIGHTS
from closingbell.store.store import open_store
from closingbell.trading.market.demo import load_history

COMMAND = str(Path(sys.executable).with_name("closingbell"))
NEW_YORK_OFFSET_S = 5 * 3600
#: Wednesday, the holiday, and Friday's half day.
UNTIL = "2012-11-23T18:00"


class Played(NamedTuple):
    """A demo that has ended."""

    summary: dict[str, Any]
    database: Path
    took_s: float
    err: str


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One demo of three days; every test looks at it."""
    database = tmp_path_factory.mktemp("demo") / "desk.db"
    began = time.monotonic()
    answer = subprocess.run(
        [COMMAND, "demo", "--json", "--database", str(database), "--until", UNTIL],
        stdin=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert answer.returncode == 0, answer.stderr
    return Played(json.loads(answer.stdout), database, time.monotonic() - began, answer.stderr)


@pytest.fixture
def rows(played: Played) -> Iterator[Any]:
    """Asks the demo's database: `rows("SELECT ...")`."""
    with closing(sqlite3.connect(f"file:{played.database}?mode=ro", uri=True)) as connection:

        def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
            return connection.execute(query, values).fetchall()

        yield ask


def micros(text: str) -> int:
    """Microseconds of a New York winter time."""
    local = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    return round((local + NEW_YORK_OFFSET_S) * 1_000_000)


def test_demo_ends_by_itself_well_within_two_minutes(played: Played) -> None:
    assert played.took_s < 90


def test_sessions_fire_at_the_open_and_before_the_close_and_not_on_the_holiday(rows: Any) -> None:
    fired = {
        task: [at for (at,) in rows("SELECT fire_at FROM runs WHERE task = ? ORDER BY 1", task)]
        for task in ("rebalance", "risk_manager")
    }
    assert fired["rebalance"] == [micros("2012-11-21T09:30"), micros("2012-11-23T09:30")]
    # The second is the half day: 15 minutes before 13:00.
    assert fired["risk_manager"] == [micros("2012-11-21T15:45"), micros("2012-11-23T12:45")]


def test_every_run_has_ended_and_every_attempt_is_accounted_for(rows: Any, played: Played) -> None:
    assert rows("SELECT count(*) FROM runs WHERE finished_at IS NULL") == [(0,)]
    attempts = rows("SELECT count(*) FROM attempts")[0][0]
    last = rows("SELECT count(*) FROM runs WHERE outcome IS NOT NULL")[0][0]
    assert sum(played.summary["attempts"].values()) == attempts + last


def test_vendor_fails_twice_and_is_retried_with_backoff(rows: Any) -> None:
    for run_id, state in rows(
        "SELECT id, state FROM runs WHERE task = 'corporate_actions' AND state <> 'skipped'"
    ):
        assert state == "success"
        waits = rows(
            "SELECT number, outcome, started_at, finished_at FROM attempts"
            " WHERE run_id = ? ORDER BY fence",
            run_id,
        )
        assert [(number, outcome) for number, outcome, *_ in waits] == [
            (1, "raised"),
            (2, "raised"),
        ]
        last = rows("SELECT started_at FROM runs WHERE id = ?", run_id)[0][0]
        assert waits[1][2] - waits[0][3] >= 10 * 60 * 1_000_000
        assert last - waits[1][3] >= 30 * 60 * 1_000_000


def test_hung_task_is_killed_and_the_desk_goes_on_beside_it(rows: Any, played: Played) -> None:
    (killed,) = played.summary["killed"]
    assert (killed["task"], killed["executor"]) == ("broker_statement", "process")
    began, ended, outcome, state = rows(
        "SELECT started_at, finished_at, outcome, state FROM runs WHERE id = ?", killed["run_id"]
    )[0]
    assert (outcome, state) == ("timed_out", "failed")
    # Two real seconds at least, on a clock 12,000 times as fast.
    assert (ended - began) / 1_000_000 / 12_000 >= 2
    # How much desk time fits beside the hang depends on how busy the machine is.
    ((beside,),) = rows(
        "SELECT count(*) FROM runs WHERE state = 'success' AND started_at > ? AND finished_at < ?",
        began,
        ended,
    )
    assert beside >= 1, "nothing went on beside the hung task"
    logged = rows("SELECT text FROM run_logs WHERE run_id = ?", killed["run_id"])
    assert any("waiting for its answer" in text for (text,) in logged)


def test_no_child_process_is_left_behind(rows: Any) -> None:
    pids = [
        json.loads(result)["pid"]
        for (result,) in rows("SELECT result FROM runs WHERE task = 'preflight'")
    ]
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_report_follows_both_tasks_that_it_waits_for(rows: Any, played: Played) -> None:
    reports = rows("SELECT started_at FROM runs WHERE task = 'daily_report' ORDER BY 1")
    settled = rows("SELECT finished_at FROM runs WHERE task = 'settlement' ORDER BY 1")
    assert len(reports) == len(settled) == 2
    assert all(report >= end for (report,), (end,) in zip(reports, settled, strict=True))
    written = [Path(file) for file in played.summary["files"]]
    texts = [file for file in written if file.suffix == ".txt"]
    assert len(texts) == 2
    assert all("Open positions       5" in file.read_text("utf-8") for file in texts)


def test_skips_are_stored_with_their_reasons(rows: Any, played: Played) -> None:
    reasons = {(s["task"], s["reason"]): s["count"] for s in played.summary["skips"]}
    assert reasons["corporate_actions", "XNYS is closed: holiday (Thanksgiving)"] == 1
    blacked_out = [n for (_, why), n in reasons.items() if "22:00-02:00 (America/New_York)" in why]
    assert blacked_out == [16], "two nights of four hours, a tick each half hour"
    assert any(reason.startswith("overlap") for _, reason in reasons)
    stored = rows("SELECT sum(count) FROM firings WHERE outcome = 'skipped'")[0][0]
    assert sum(reasons.values()) == stored + 1, "the vendor's skip was decided by its task"


def test_every_half_hour_has_exactly_one_tick(rows: Any) -> None:
    ticks = [
        at
        for (at,) in rows(
            "SELECT fire_at FROM firings WHERE schedule_id = 'margin_watch' AND fire_at < ?"
            " ORDER BY 1",
            micros(UNTIL),
        )
    ]
    # The desk's clock runs while the desk opens.
    assert micros("2012-11-21T06:30") <= ticks[0] <= micros("2012-11-21T09:00")
    assert ticks == list(range(ticks[0], micros(UNTIL), 1_800_000_000))


def test_opening_gaps_are_the_real_ones_and_their_condition_decides(rows: Any) -> None:
    bars = {(bar.symbol, bar.day): bar for bar in load_history()}
    gaps = rows("SELECT data, runs FROM events WHERE type = 'opening_gap'")
    assert len(gaps) == 2 * len(WEIGHTS)
    before = {date(2012, 11, 21): date(2012, 11, 20), date(2012, 11, 23): date(2012, 11, 21)}
    for text, runs in gaps:
        data = json.loads(text)
        day = date.fromisoformat(data["session_date"])
        move = bars[data["symbol"], day].open / bars[data["symbol"], before[day]].close - 1
        assert data["change"] == pytest.approx(float(move), abs=1e-6)
        assert runs == (1 if abs(data["change"]) > 0.005 else 0)


def test_desk_buys_its_weights_at_the_real_opening_prices(played: Played) -> None:
    opened = {bar.symbol: bar.open for bar in load_history() if bar.day == date(2012, 11, 21)}
    bought = {trade["symbol"]: trade for trade in played.summary["trades"]}
    assert {symbol: Decimal(trade["price"]) for symbol, trade in bought.items()} == opened
    assert {trade["at"] for trade in bought.values()} == {"2012-11-21T14:30:00+00:00"}
    assert {trade["task"] for trade in bought.values()} == {"rebalance"}


def test_every_fill_starts_a_risk_scan_of_its_position(rows: Any) -> None:
    changes = rows("SELECT data, runs FROM events WHERE type = 'position_change'")
    assert {json.loads(text)["symbol"] for text, _ in changes} == set(WEIGHTS)
    assert [runs for _, runs in changes] == [1] * len(WEIGHTS)
    scans = rows("SELECT state, priority FROM runs WHERE task = 'risk_scan'")
    assert scans == [("success", 1)] * len(WEIGHTS)


def test_portfolio_is_worth_its_positions_at_the_real_closes(played: Played) -> None:
    portfolio = played.summary["portfolio"]
    closes = {bar.symbol: bar.close for bar in load_history() if bar.day == date(2012, 11, 23)}
    worth = sum(
        (Decimal(one["quantity"]) * closes[one["symbol"]] for one in portfolio["positions"]),
        Decimal(portfolio["cash"]),
    )
    assert len(portfolio["positions"]) == len(WEIGHTS)
    assert Decimal(portfolio["value"]) == worth


def test_ledger_in_the_file_folds_to_the_portfolio_and_every_settlement_balances(
    played: Played,
) -> None:
    store = open_store(played.database, SystemClock())
    try:
        book = Book.of(store.ledger.entries("main"))
    finally:
        store.close()
    portfolio = played.summary["portfolio"]
    assert book.cash["USD"] == Decimal(portfolio["cash"])
    held = {one["symbol"]: Decimal(one["quantity"]) for one in portfolio["positions"]}
    assert {holding.symbol: holding.quantity for holding in book.positions} == held
    assert [one["balances"] for one in played.summary["statements"]] == [True, True]


def test_backtest_of_the_strategy_is_stored_and_its_page_is_written(
    rows: Any, played: Played
) -> None:
    told = played.summary["backtest"]
    assert rows("SELECT id FROM desk_backtests") == [(told["id"],)]
    assert "<svg" in Path(told["page"]).read_text("utf-8")


def test_alerts_are_raised_for_the_killed_run_and_for_far_moves(played: Played) -> None:
    kinds = [alert["type"] for alert in played.summary["alerts"]]
    assert kinds.count("task_failure") == 1
    assert kinds.count("task_alert") == 1


def test_lateness_is_measured_for_every_firing_that_ran(rows: Any, played: Played) -> None:
    late = played.summary["lateness_ms"]
    measured = rows(
        "SELECT count(*) FROM runs WHERE cause = 'schedule' AND state = 'success'"
        " AND task IN ('margin_watch', 'opening_gaps')"
    )[0][0]
    assert late["firings"] == measured
    assert 0 <= late["p50"] <= late["p99"] <= late["max"]


def test_progress_is_told_on_stderr_only(played: Played) -> None:
    assert "opening_gaps" in played.err
    assert "Traceback" not in played.err


def test_demo_refuses_a_database_that_is_there(played: Played) -> None:
    answer = subprocess.run(
        [COMMAND, "demo", "--once", "--database", str(played.database)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 2
    assert "a demo begins with an empty desk" in answer.stderr


def test_price_file_is_the_one_that_its_provenance_names() -> None:
    folder = files("closingbell.trading.market.data")
    content = folder.joinpath("stocks.csv.gz").read_bytes()
    assert sha256(content).hexdigest() in folder.joinpath("PROVENANCE.md").read_text("utf-8")
    assert len(load_history()) == 12_154
