"""The example desks work as their own first lines say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = str(Path(sys.executable).with_name("closingbell"))


def run(folder: Path, *words: str) -> str:
    answer = subprocess.run(
        words,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_example_desk_is_scheduled_submitted_and_told_of_events(tmp_path: Path) -> None:
    desk = str(EXAMPLES / "desk.py")
    explained = run(
        tmp_path, COMMAND, "schedule", "next", desk, "valuation", "-n", "2", "--explain",
        "--after", "2026-11-25T18:00",
    )  # fmt: skip
    assert "no firing: XNYS holiday (Thanksgiving)" in explained
    assert "early close 13:00" in explained
    payload = '{"positions": {"AAPL": 100}}'
    value = run(tmp_path, COMMAND, "submit", desk, "valuation", payload).strip()
    scan = run(tmp_path, COMMAND, "event", desk, "position_change", "symbol=AAPL", "change=-0.06")
    calm = run(tmp_path, COMMAND, "event", desk, "position_change", "symbol=AAPL", "change=0.02")
    assert calm == ""
    run(tmp_path, COMMAND, "worker", desk, "--burst")
    results = {
        run_id: json.loads(run(tmp_path, COMMAND, "run", "show", run_id, "--app", desk, "--json"))
        for run_id in (value, scan.strip())
    }
    assert results[value]["result"] == {"AAPL": 43_047.0}
    assert results[scan.strip()]["result"] == {"loss": 30_993.84}
    assert "AAPL fell -6.0%" in run(tmp_path, COMMAND, "alerts", "--app", desk)


def test_example_sweep_is_done_once_and_read_again(tmp_path: Path) -> None:
    sweep = str(EXAMPLES / "quant.py")
    first, second = (run(tmp_path, sys.executable, sweep) for _ in range(2))
    assert first == second
    assert first.splitlines()[1].split() == ["10", "150", "1.938", "(2.02)"]
    listed = run(tmp_path, COMMAND, "runs", "--database", "sweep.db", "-n", "100", "--json")
    runs = json.loads(listed)["runs"]
    assert len(runs) == 25
    assert {(one["state"], one["attempt"]) for one in runs} == {("success", 1)}


def test_example_strategy_is_backtested_and_then_trades_on_paper(tmp_path: Path) -> None:
    strategy = str(EXAMPLES / "strategy.py")
    told = run(tmp_path, sys.executable, strategy)
    assert "follow_the_trend     418  418       0        0" in told
    assert (tmp_path / "strategy.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    listed = run(tmp_path, COMMAND, "backtest", "list", "--app", strategy, "--json")
    assert [one["name"] for one in json.loads(listed)["backtests"]] == ["follow the trend"]
    results = []
    for task in ("follow_the_trend", "performance_report"):
        run_id = run(tmp_path, COMMAND, "submit", strategy, task).strip()
        run(tmp_path, COMMAND, "worker", strategy, "--burst")
        shown = run(tmp_path, COMMAND, "run", "show", run_id, "--app", strategy, "--json")
        results.append(json.loads(shown)["result"])
    # Of the shipped prices' last day: these two closed above their averages of 200 days.
    assert results[0] == {"GOOG": 0.225, "IBM": 0.225}
    assert "Open positions       2" in results[1]["report"]
    assert len(list((tmp_path / "reports").iterdir())) == 2
