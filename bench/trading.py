"""Measure trading: backtests beside peers and a bare loop, and the desk's parts, in one run.

    python bench/trading.py                                 ours, backtesting.py and the bare loop
    python bench/trading.py --python OTHER/bin/python       and investing-algorithm-framework
    python bench/trading.py --workloads T1,T2 --rounds 5

Rounds are interleaved: every system once, then every system again. Each measurement has a process
and a folder of its own. Lines are kept in bench/results, and `python bench/report.py` writes the
page from them.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # Not this folder, whose names must not stand for other modules.
    sys.path[:1] = [str(ROOT), str(ROOT / "src")]

from bench.backtest import wandering  # noqa: E402
from bench.crossing import SYMBOL, Line, write  # noqa: E402
from bench.figures import TRADING, print_tables  # noqa: E402
from bench.lock import alone  # noqa: E402
from bench.rows import ROWS, Row  # noqa: E402
from bench.run import RESULTS, machine  # noqa: E402
from bench.servers import DefaultPostgres  # noqa: E402

_MINUTES = 50_000
#: Crossings by workload: with which bars.
_CROSSINGS = {"T1": "daily.csv", "T1M": "minutes.csv"}
#: Measured once: they take minutes, and what they tell hardly varies.
_ONCE = {"T3"}


def main() -> int:
    given = _arguments()
    rows = [row for row in ROWS if set(row.workloads) & set(given.workloads)]
    rows = [row for row in rows if given.rows is None or row.name in given.rows]
    out = given.out or RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-trading.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    # As installers leave it: else each process would compile what it imports while it is timed.
    compileall.compile_dir(ROOT / "src", quiet=1)
    with contextlib.ExitStack() as stack, out.open("a") as file:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        _write_bars(folder)
        wants_postgres = any(row.server == "postgres" for row in rows)
        servers = {"postgres": stack.enter_context(DefaultPostgres())} if wants_postgres else {}
        _keep(file, {"machine": machine(servers), "rows": [row.name for row in rows]})
        for number in range(1, given.rounds + 1):
            for workload in given.workloads:
                for row in rows:
                    if workload not in row.workloads or (workload in _ONCE and number > 1):
                        continue
                    python = given.python if row.needs_python else sys.executable
                    if python is None:
                        continue
                    numbers = _measure(row, python, workload, folder, servers)
                    line = {"row": row.name, "workload": workload, "pass": number, **numbers}
                    _keep(file, line)
                    print(_shown(line), flush=True)
                    found.setdefault((workload, row.name), []).append(line)
    _print_ratios(found)
    print()
    print_tables([out], tuple(TRADING))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workloads", type=_words, default=tuple(TRADING))
    parser.add_argument("--rows", "--peers", type=_words, help="default: all that can run")
    parser.add_argument("--python", help="an interpreter that has investing-algorithm-framework")
    parser.add_argument("--out", type=Path, help="default: today's file in bench/results")
    return parser.parse_args()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _write_bars(folder: Path) -> None:
    """Write the shipped days of one stock, and minutes that wander."""
    from closingbell.session_hours import session_hours
    from closingbell.trading.market.demo import DEMO_VENUE, demo_bars

    source = demo_bars(session_hours(DEMO_VENUE))
    begin, end = source.span("1d") or (0, 0)
    days = source.bars(SYMBOL, "1d", begin, end + 1)
    for name, bars in (("daily.csv", days), ("minutes.csv", wandering(_MINUTES))):
        lines = [Line(bar.start, bar.end, *(str(price) for price in bar[3:8])) for bar in bars]
        write(folder / name, lines)


def _measure(
    row: Row, python: str, workload: str, bars: Path, servers: dict[str, Any]
) -> dict[str, Any]:
    with alone(), _place(row, servers) as (folder, address):
        if workload in _CROSSINGS:
            data = str(bars / _CROSSINGS[workload])
            command = [python, "-m", "bench.crossing", row.module, data]
        else:
            command = [python, "-m", "bench.desk_workloads", workload]
            command += ["--address", address] if address else []
        load = os.getloadavg()[0]
        began = time.monotonic()
        ran = subprocess.run(
            [*command, "--folder", str(folder)],
            cwd=ROOT,
            env=_environment(),
            capture_output=True,
            text=True,
        )
        took = time.monotonic() - began
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    numbers: dict[str, Any] = json.loads(lines[-1]) if lines else {"error": "no answer"}
    if "error" in numbers:
        sys.stderr.write(ran.stderr[-3000:])
    return {**numbers, "seconds": round(took, 1), "load_before": round(load, 2)}


def _environment() -> dict[str, str]:
    """The machine's settings must not change what is measured, which is this tree."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("CLOSINGBELL_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}


@contextlib.contextmanager
def _place(row: Row, servers: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        )
        address = ""
        if row.server == "postgres":
            address = stack.enter_context(servers["postgres"].database())
        yield Path(folder), address


def _keep(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def _shown(line: dict[str, Any]) -> str:
    skipped = {"row", "workload", "pass", "seconds", "load_before", "versions"}
    parts = [f"{name} {value}" for name, value in line.items() if name not in skipped]
    return f"{line['pass']} {line['workload']:4} {line['row']:30} {'  '.join(parts)}"


def _print_ratios(found: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Show each crossing beside ours, and whether it made the same round trips."""
    for workload in _CROSSINGS:
        ours = [line for key, lines in found.items() if key[0] == workload for line in lines]
        ours = [line for line in ours if line["row"] == "closingbell" and "error" not in line]
        if not ours:
            continue
        rate = statistics.median(line["bars_per_cpu_s"] for line in ours)
        for (which, row), lines in found.items():
            if which != workload or row == "closingbell" or any("error" in x for x in lines):
                continue
            theirs = statistics.median(line["bars_per_cpu_s"] for line in lines)
            same = {x["trips_sha256"] for x in lines} == {x["trips_sha256"] for x in ours}
            trips = "the same round trips" if same else "OTHER round trips"
            print(
                f"{workload} closingbell / {row}: {rate / theirs:.3g} times by processor time, {trips}"
            )


if __name__ == "__main__":
    sys.exit(main())
