"""Write docs/reference/benchmarks.md from recorded measurements.

    python bench/report.py                       the files of the newest day in bench/results
    python bench/report.py A.jsonl B.jsonl       these together

The page is made whole each time. What only a person can say, what bounds a number that falls
short, is kept in bench/bounds.md and bench/trading_bounds.md and copied in.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from bench.figures import (  # noqa: E402
    ROW,
    TITLES,
    TRADING,
    Figure,
    Record,
    shown,
    standing_table,
    standings,
    trading_table,
    workload_table,
)
from bench.hot_path import STAGES  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
RESULTS = ROOT / "bench" / "results"
BOUNDS = ROOT / "bench" / "bounds.md"
TRADING_BOUNDS = ROOT / "bench" / "trading_bounds.md"
HOT_PATH = RESULTS / "hot_path.jsonl"

_HEAD = """# Benchmarks

*Made by `bench/report.py` from recorded measurements; edit that, not this page.*

closingbell beside other task queues and schedulers for Python, and beside bare loops without any
queue: the same work, on one machine, in one run, interleaved pass by pass. A cell is the median over
the passes, with the lowest and the highest behind it.

    make bench                                                closingbell and the bare loops
    .venv/bin/python bench/run.py --peer-python OTHER/bin/python    and the peers that OTHER can import
    .venv/bin/python bench/report.py                                this page from the newest results

closingbell is measured as it is installed: claims are fenced, payloads are validated, output is
captured, attempts and results are kept, `synchronous=FULL` on SQLite and PostgreSQL's own defaults.
"""

_METHOD = """## What is measured

The tasks are `noop(payload)` with a payload of three keys, `stamp`, which writes when it began, and
`burn`, a fixed amount of pure Python. A service has at most two worker processes. "Finished" is read
from each system's own store by asking every 20 ms.

| | |
|---|---|
| W1 | 5,000 submissions one at a time, each awaited, then the row's number of runs by its bulk verb; no worker runs |
| W2 | no-op runs that wait already; from the first handler's start (closingbell: the first claim, a little earlier) until all are stored as finished |
| W3 | the service is warm; 5,000 submissions one at a time while it drains, until all are stored as finished; then in bulk, 500 to a call |
| W4 | the service is idle; a run every 50 ms, 200 times; from before the submission to the handler's start |
| W5 | 100 runs for given instants, one every 100 ms, submitted 3 s ahead; the handler's start minus the instant. closingbell also: 100 firings of five schedules |
| W5M | W5 with 10,000 daily schedules and a million runs that are due tomorrow in the store |
| W6 | 64 tasks of 50 ms and 2,000 of 1 ms of pure Python on two processes; wall time against two bare processes (median of four such, before and after) |
| W7 | RSS of the idle service, summed over its processes; PSS counts shared pages once. Services that live in the client's process include the client |
| W8 | import in fresh interpreters, median of nine; start of an app on an existing store, from before the import |

PostgreSQL runs with the settings that initdb writes, on loopback TCP; Redis with `appendonly yes` and
`appendfsync always`, the only setting under which a run is on the disk when submit returns. Each
measurement has a process and an empty store of its own.
"""

_TRADING = """## Trading

    .venv/bin/python bench/trading.py                            closingbell, backtesting.py, a bare loop
    .venv/bin/python bench/trading.py --python OTHER/bin/python  and investing-algorithm-framework

The same bars and the same rules in each: the means of the last ten and fifty closes cross; a fixed number of
units is bought and sold at the next open, for no fee. Every system made the same round trips at the same prices
(`trips_sha256` in the recorded lines). The machine did other work meanwhile, so processor time stands beside wall
time, and compares better. They are not the same thing: closingbell calls a task at each close,
through its registry, triggers, priorities and outcomes, with `Decimal` and a journal; backtesting.py calls one
method in a loop over arrays of floats, and keeps nothing.

| | |
|---|---|
| T1 | GOOG's daily bars from 2004-08-19 to 2013-03-01, 2,148 of them, shipped with closingbell; the backtest and its report, without the reading of the bars (investing-algorithm-framework's reading is part of its run) |
| T1M | the same rules on 50,000 one-minute bars that wander; investing-algorithm-framework was left out, since it would take longer than all else together |
| T2 | 525,600 one-minute bars of one symbol; 20 tasks every 5, 10 and 15 minutes, hourly, 4-hourly, daily, on weekdays and 15 minutes before XNYS closes; 9 read the portfolio, one trades. An event is a moment of the market, a firing, or an entry of the journal |
| T3 | T2 on bars stored in Parquet: peak resident memory for a quarter of the year, the year, and four such years |
| T4 | a desk, an account, and the in-memory ledger, by processor time; a moment is an opening or a closing with its fills, marks, drawdown and facts; no clock and no tasks |
| T5 | 200,000 one-minute bars stored with all checks, and read again as a backtest reads them |
| T6 | 2,000 changes of one account, each an order, its fill and its end in a commit of its own |
| T7 | five stocks from 2003 to 2012, a task at each close; the page of the report with all its charts |

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", nargs="*", type=Path, help="default: the newest")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    write_page(given.results or _newest(), given.page)
    print(f"wrote {given.page}")
    return 0


def write_page(results: Sequence[Path], page: Path) -> None:
    """Write the page whole, from what was recorded."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(_page(Record(results))) + "\n")


def _newest() -> list[Path]:
    """The engine's files and trading's, of the newest day of each."""
    found = sorted(RESULTS.glob("20*.jsonl"))
    if not found:
        raise SystemExit("nothing is recorded: run `make bench` first")
    kinds = [
        [path for path in found if path.stem.endswith("-trading") is it] for it in (False, True)
    ]
    return [path for kind in kinds for path in kind if path.name[:10] == kind[-1].name[:10]]


def _page(record: Record) -> list[str]:
    parts = [_HEAD, *_machine(record), "## Where closingbell stands", ""]
    parts += _markdown(standing_table(record))
    parts += ["", "## Where it falls short", "", *_short(record, TITLES), ""]
    if BOUNDS.exists():
        parts += [BOUNDS.read_text().strip(), ""]
    parts += _hot_path()
    parts += [_METHOD, "## Results", ""]
    for workload, title in TITLES.items():
        if record.rows(workload):
            parts += [
                f"### {workload} {title}",
                "",
                *_markdown(workload_table(record, workload)),
                "",
            ]
    parts += ["## How each system was set", "", *_markdown(_settings(record, TITLES)), ""]
    parts += _trading(record)
    if record.failures:
        parts += ["## Measurements that failed", ""]
        parts += [f"- {f['row']} {f['workload']}: {f['error']}" for f in record.failures]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _machine(record: Record) -> list[str]:
    about = record.machine
    postgres = about.get("postgres", {})
    lines = [
        f"Measured {about.get('date', '')} on {about.get('cores')} cores ({about.get('cpu')}),"
        f" {about.get('memory_gib')} GiB, {about.get('system')};"
        f" Python {about.get('python')}, SQLite {about.get('sqlite')}"
        + (
            f", PostgreSQL {postgres['server_version']} (fsync {postgres['fsync']},"
            f" synchronous_commit {postgres['synchronous_commit']},"
            f" shared_buffers {postgres['shared_buffers']})"
            if postgres
            else ""
        )
        + ".",
        "The machine is virtual and shares its disk and cores with others: read nothing into"
        " differences below a factor of about 1.5 between systems.",
        "",
    ]
    if record.versions:
        versions = ", ".join(f"{name} {v}" for name, v in sorted(record.versions.items()))
        lines += [f"Versions: {versions}.", ""]
    return lines


def _short(record: Record, workloads: Mapping[str, str]) -> list[str]:
    lines = []
    for each in standings(record):
        if each.metric.workload not in workloads:
            continue
        if each.reached is not False or each.goal is None:
            continue
        value = each.figure.median
        if each.metric.more_is_better:
            distance = f"{value / each.goal:.0%} of the goal"
        else:
            distance = f"{shown(value / each.goal)} times the goal"
        line = (
            f"- {each.metric.workload} `{each.row.name}`, {each.metric.title}: {shown(value)},"
            f" the goal was {shown(each.goal)}; {distance}"
        )
        if each.ceiling is not None:
            line += f". The bare loop gives {each.of_ceiling}"
        lines.append(line + ".")
    return lines or ["Every goal was reached in this run."]


def _hot_path() -> list[str]:
    if not HOT_PATH.exists():
        return []
    found = [json.loads(line) for line in HOT_PATH.read_text().splitlines()]
    latest = {each["store"]: each for each in found}
    sums = {
        "submit_us": "submit, wall",
        "submit_cpu_us": "submit, processor",
        "drain_us": "drain, wall",
        "drain_cpu_us": "drain, processor",
        "drain_server_cpu_us": "drain, PostgreSQL's processor",
    }
    for each in latest.values():
        each["stages"] |= {title: each[name] for name, title in sums.items() if name in each}
    order = [*sums.values(), *(name for name, _ in STAGES)]
    stages = [name for name in order if any(name in each["stages"] for each in latest.values())]
    table = [["stage", *(f"{store}, µs a run" for store in latest)]]
    for stage in stages:
        cells = [each["stages"].get(stage) for each in latest.values()]
        table.append([stage, *("–" if cell is None else shown(cell) for cell in cells)])
    return [
        "## Where a no-op run's time goes",
        "",
        "`bench/hot_path.py`: thread time of each stage, by samples while runs are submitted in bulk and"
        " then drained: at work, or waiting for Python's lock, the disk or the database. Threads work side"
        " by side, so the stages add up to more than the wall time of a run.",
        "",
        *_markdown(table),
        "",
    ]


def _trading(record: Record) -> list[str]:
    if not any(record.rows(workload) for workload in TRADING):
        return []
    loads = [record.figure(row.name, w, "load_before") for w in TRADING for row in record.rows(w)]
    load = Figure(tuple(value for each in loads if each for value in each.values))
    parts = [_TRADING, f"Load average before each measurement, on two cores: {load}.", ""]
    parts += [*_markdown(trading_table(record)), ""]
    parts += ["### What trading falls short of", "", *_short(record, TRADING), ""]
    if TRADING_BOUNDS.exists():
        parts += [TRADING_BOUNDS.read_text().strip(), ""]
    for workload, title in TRADING.items():
        if record.rows(workload):
            table = _markdown(workload_table(record, workload))
            parts += [f"### {workload} {title}", "", *table, ""]
    return [
        *parts,
        "### How each backtester was set",
        "",
        *_markdown(_settings(record, TRADING)),
        "",
    ]


def _settings(record: Record, workloads: Mapping[str, str]) -> list[list[str]]:
    measured = {row.name for workload in workloads for row in record.rows(workload)}
    table = [["row", "settings; all else is its default", "what is safe, what is kept"]]
    for row in ROW.values():
        if row.name in measured:
            table.append([row.name, row.settings, row.durability or "–"])
    return table


def _markdown(table: list[list[str]]) -> list[str]:
    head, *rest = table
    marks = ["---", *("---:" if _is_number(rest, i) else "---" for i in range(1, len(head)))]
    return [f"| {' | '.join(line)} |" for line in (head, marks, *rest)]


def _is_number(lines: list[list[str]], column: int) -> bool:
    return bool(lines) and all(
        line[column][:1].isdigit() or line[column][:1] in "–-" for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
