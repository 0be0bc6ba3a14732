"""The measurements measure what they say; how fast anything is, is not asserted anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.backtest import wandering
from bench.crossing import Line, write
from bench.figures import METRICS, Record, standings, workload_table
from bench.report import write_page
from bench.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
NAMES = [row.name for row in ROWS]


def record(folder: Path, *lines: dict[str, object]) -> Path:
    path = folder / "recorded.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def drained(row: str, number: int, runs_per_s: float) -> dict[str, object]:
    return {"row": row, "workload": "W2", "pass": number, "runs_per_s": runs_per_s}


def test_rows_have_names_of_their_own_and_adapters_that_exist() -> None:
    """A row names an adapter of bench/peers, or a bare loop."""
    assert len(set(NAMES)) == len(NAMES)
    for row in ROWS:
        folder = ROOT / "bench" / ("" if row.module == "ceilings" else "peers")
        assert (folder / f"{row.module}.py").is_file(), row.name
        assert row.settings, row.name


@pytest.mark.parametrize("workload", ["W1", "W2", "W3"])
def test_measurement_of_a_few_runs_gives_every_number_of_its_workload(
    workload: str, tmp_path: Path
) -> None:
    """The harness submits, drains and counts through the app that users call."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.measure",
            "closingbell-sqlite",
            workload,
            "--folder",
            str(tmp_path),
            "--single=20",
            "--many=60",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BENCH_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    numbers = json.loads(ran.stdout.splitlines()[-1])
    expected = {metric.field for metric in METRICS if metric.workload == workload}
    assert expected <= set(numbers)
    assert all(numbers[name] > 0 for name in expected)


def test_median_of_three_passes_stands_against_the_best_peer_and_the_bare_loop(
    tmp_path: Path,
) -> None:
    """A ratio says how many times as good ours is."""
    path = record(
        tmp_path,
        *(drained("closingbell-pg", i, speed) for i, speed in enumerate((30e3, 10e3, 20e3))),
        *(drained("pgqueuer-pg", i, speed) for i, speed in enumerate((9e3, 11e3, 10e3))),
        drained("huey-sqlite", 1, 3e3),
        drained("raw-pg", 1, 80e3),
        drained("raw-pg-asyncpg", 1, 100e3),
    )
    (found,) = standings(Record([path]))
    assert found.figure.median == 20e3
    assert found.reached is False
    assert found.against(found.best) == "pgqueuer-pg 10,000, 2.00x"
    assert found.of_ceiling == "100,000, 20% of it"


def test_lateness_that_is_lower_than_a_peers_counts_as_better(tmp_path: Path) -> None:
    """For milliseconds the ratio turns round."""
    lines = [
        {"row": row, "workload": "W5", "pass": 1, "p50_ms": value}
        for row, value in (("closingbell-sqlite", 0.5), ("celery-redis", 2.0))
    ]
    found = next(standings(Record([record(tmp_path, *lines)])))
    assert found.reached is True
    assert found.against(found.best) == "celery-redis 2.00, 4.00x"


def test_failed_measurement_is_in_no_median_and_is_named_on_the_page(tmp_path: Path) -> None:
    """What failed is not left out in silence."""
    path = record(
        tmp_path,
        {"machine": {"cores": 2, "python": "3.11"}},
        drained("closingbell-sqlite", 1, 1e4),
        {"row": "huey-sqlite", "workload": "W2", "pass": 1, "error": "TimeoutError: 3 of 9"},
    )
    page = tmp_path / "page.md"
    write_page([path], page)
    assert workload_table(Record([path]), "W2")[1:] == [["closingbell-sqlite", "10,000"]]
    assert "- huey-sqlite W2: TimeoutError: 3 of 9" in page.read_text()
    assert "10,000, the goal was 40,000; 25% of the goal" in page.read_text()


def test_backtesters_and_the_bare_loop_make_the_same_round_trips(tmp_path: Path) -> None:
    """What is compared is the same strategy, to the cent."""
    bars = tmp_path / "bars.csv"
    write(bars, [Line(*bar[1:3], *(str(price) for price in bar[3:8])) for bar in wandering(1_500)])
    found = set()
    for adapter in ("closingbell_backtest", "backtesting_py", "bare_loop"):
        folder = tmp_path / adapter
        folder.mkdir()
        command = [sys.executable, "-m", "bench.crossing", adapter, str(bars)]
        ran = subprocess.run(
            [*command, "--folder", str(folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        numbers = json.loads(ran.stdout.splitlines()[-1])
        assert numbers["round_trips"] > 5
        found.add((numbers["round_trips"], numbers["trips_sha256"]))
    assert len(found) == 1


def test_page_has_trading_in_a_part_of_its_own_with_both_backtesters(tmp_path: Path) -> None:
    """Trading's figures stand beside backtesters, not beside queues."""
    path = record(
        tmp_path,
        *(
            {"row": row, "workload": "T1", "pass": 1, "bars_per_cpu_s": value, "load_before": 0.5}
            for row, value in (("closingbell", 4e3), ("backtesting.py", 4e4), ("bare-loop", 1e6))
        ),
    )
    page = tmp_path / "page.md"
    write_page([path], page)
    engine, _, trading = page.read_text().partition("## Trading")
    assert "backtesting.py" not in engine
    assert "| 4,000 | – |  | 40,000, 0.10x | – | 1,000,000, 0.40% of it |" in trading
