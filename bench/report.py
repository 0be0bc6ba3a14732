"""Write docs/reference/benchmarks.md from recorded measurements.

    python bench/report.py                       the newest file in bench/results
    python bench/report.py A.jsonl B.jsonl       these together

The page is made whole each time. What only a person can say, what bounds a number that falls
short, is kept in bench/bounds.md and copied in.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

from bench.figures import (  # noqa: E402
    ROW,
    TITLES,
    Record,
    shown,
    standing_table,
    standings,
    workload_table,
)
from bench.hot_path import STAGES  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
RESULTS = ROOT / "bench" / "results"
BOUNDS = ROOT / "bench" / "bounds.md"
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", nargs="*", type=Path, help="default: the newest")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    write_page(given.results or [_newest()], given.page)
    print(f"wrote {given.page}")
    return 0


def write_page(results: Sequence[Path], page: Path) -> None:
    """Write the page whole, from what was recorded."""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(_page(Record(results))) + "\n")


def _newest() -> Path:
    found = sorted(RESULTS.glob("20*.jsonl"))
    if not found:
        raise SystemExit("nothing is recorded: run `make bench` first")
    return found[-1]


def _page(record: Record) -> list[str]:
    parts = [_HEAD, *_machine(record), "## Where closingbell stands", ""]
    parts += _markdown(standing_table(record))
    parts += ["", "## Where it falls short", "", *_short(record), ""]
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
    parts += ["## How each system was set", "", *_markdown(_settings(record)), ""]
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


def _short(record: Record) -> list[str]:
    lines = []
    for each in standings(record):
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


def _settings(record: Record) -> list[list[str]]:
    measured = {row.name for workload in TITLES for row in record.rows(workload)}
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
