"""Measure closingbell beside its peers and the bare loops, in one run.

    python bench/run.py                                   closingbell and the bare loops
    python bench/run.py --peer-python OTHER/bin/python    and every peer that OTHER can import
    python bench/run.py --rows closingbell-sqlite,huey-sqlite --workloads W1,W2 --passes 1

Each measurement has a process and a store of its own, and runs alone on the machine. Passes are
interleaved: every row once, then every row again. Each line is kept in bench/results, and
`python bench/report.py` writes the page from it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import sqlite3
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
    sys.path[0] = str(ROOT)

from bench.figures import print_tables  # noqa: E402
from bench.lock import alone  # noqa: E402
from bench.rows import ROWS, Row  # noqa: E402
from bench.servers import DefaultPostgres, Redis  # noqa: E402
from bench.workloads import measure_turn_s  # noqa: E402

RESULTS = ROOT / "bench" / "results"
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W5M", "W6", "W7", "W8")
_GIVE_UP_S = {"W2": 400.0, "W5M": 500.0}


def main() -> int:
    given = _arguments()
    rows = _rows(given.rows, given.workloads, given.peer_python, given.redis_server)
    out = given.out or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    turn_s = measure_turn_s()
    with contextlib.ExitStack() as stack, out.open("a") as file:
        servers = _start_servers(stack, [row for row, _ in rows], given.redis_server)
        about = {"machine": machine(servers), "turn_s": turn_s, "settings": given.set}
        _keep(file, {**about, "rows": [row.name for row, _ in rows]})
        for number in range(1, given.passes + 1):
            for workload in given.workloads:
                for row, python in rows:
                    if workload not in row.workloads:
                        continue
                    line = _measure(row, python, workload, servers, turn_s, given)
                    line = {"row": row.name, "workload": workload, "pass": number, **line}
                    _keep(file, line)
                    print(_shown(line), flush=True)
    print()
    print_tables([out])
    print(f"\nkept in {out.relative_to(ROOT) if out.is_relative_to(ROOT) else out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--workloads", type=_words, default=WORKLOADS)
    parser.add_argument("--rows", "--peers", type=_words, help="default: all that can run")
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        help="an interpreter that has peers installed; may be given several times",
    )
    parser.add_argument("--redis-server", default=shutil.which("redis-server"))
    parser.add_argument("--single", type=int, default=5_000, help="runs submitted one at a time")
    parser.add_argument("--many", type=int, help="runs in bulk; default the row's own")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of closingbell for all of its rows, such as async_slots=256",
    )
    parser.add_argument("--folder", type=Path, help="where SQLite files are made")
    parser.add_argument("--out", type=Path, help="default: a new file in bench/results")
    return parser.parse_args()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _rows(
    names: tuple[str, ...] | None,
    workloads: tuple[str, ...],
    peer_pythons: list[str],
    redis_program: str | None,
) -> list[tuple[Row, str]]:
    """Each row that can run, with the interpreter that can import it."""
    unknown = set(names or ()) - {row.name for row in ROWS}
    if unknown:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}")
    found = []
    for row in ROWS:
        if (names and row.name not in names) or not set(row.workloads) & set(workloads):
            continue
        if row.server == "redis" and not redis_program:
            print(f"left out: {row.name} (no redis-server)")
            continue
        python = _python_for(row, peer_pythons)
        if python is None:
            print(f"left out: {row.name} (no interpreter given by --peer-python can import it)")
            continue
        found.append((row, python))
    return found


def _python_for(row: Row, peer_pythons: list[str]) -> str | None:
    if row.is_ours or (row.is_raw and row.peer != "asyncpg"):
        return sys.executable
    module = "asyncpg" if row.is_raw else row.module
    for python in peer_pythons:
        probe = subprocess.run([python, "-c", f"import {module}, psutil"], capture_output=True)
        if probe.returncode == 0:
            return python
    return None


def _start_servers(
    stack: contextlib.ExitStack, rows: list[Row], redis_program: str | None
) -> dict[str, Any]:
    servers: dict[str, Any] = {}
    if any(row.server == "postgres" for row in rows):
        servers["postgres"] = stack.enter_context(DefaultPostgres())
    if any(row.server == "redis" for row in rows) and redis_program:
        servers["redis"] = Redis(redis_program)
        stack.callback(servers["redis"].stop)
    return servers


def _measure(
    row: Row,
    python: str,
    workload: str,
    servers: dict[str, Any],
    turn_s: float,
    given: argparse.Namespace,
) -> dict[str, Any]:
    command = [python, "-m", "bench.measure", row.name, workload, "--single", str(given.single)]
    if given.many:
        command += ["--many", str(given.many)]
    with alone(), _place(row, servers, given.folder) as (folder, environment):
        load = os.getloadavg()[0]
        began = time.monotonic()
        child = subprocess.Popen(
            [*command, "--folder", str(folder)],
            cwd=ROOT,
            env={**environment, **_settings(given.set), "BENCH_TURN_S": repr(turn_s)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        out, problems = _wait(child, _GIVE_UP_S.get(workload, 200.0))
        took = time.monotonic() - began
    lines = [line for line in out.splitlines() if line.startswith("{")]
    numbers: dict[str, Any] = json.loads(lines[-1]) if lines else {"error": "no answer"}
    if "error" in numbers:
        sys.stderr.write(problems[-3000:])
    return {**numbers, "seconds": round(took, 1), "load_before": round(load, 2)}


def _settings(pairs: list[str]) -> dict[str, str]:
    return {
        f"CLOSINGBELL_{name.upper()}": value for name, _, value in (p.partition("=") for p in pairs)
    }


@contextlib.contextmanager
def _place(
    row: Row, servers: dict[str, Any], parent: Path | None
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder and, for PostgreSQL, a database of its own; and the environment that names them."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # A setting of the machine's must not change what is measured.
    for name in [name for name in environment if name.startswith("CLOSINGBELL_")]:
        del environment[name]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-", dir=parent, ignore_cleanup_errors=True)
        )
        environment["BENCH_FOLDER"] = folder
        if row.server == "postgres":
            environment["BENCH_POSTGRES"] = stack.enter_context(servers["postgres"].database())
        if row.server == "redis":
            environment["BENCH_REDIS"] = servers["redis"].address
        yield Path(folder), environment


def _wait(child: subprocess.Popen[str], give_up_s: float) -> tuple[str, str]:
    try:
        return child.communicate(timeout=give_up_s)
    except subprocess.TimeoutExpired:
        child.terminate()
    except BaseException:
        child.terminate()
        raise
    try:
        return child.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.communicate()


def machine(servers: dict[str, Any]) -> dict[str, Any]:
    """Return what the figures were measured on."""
    import psutil

    about: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if "postgres" in servers:
        about["postgres"] = servers["postgres"].about()
    if "redis" in servers:
        about["redis"] = "appendonly yes, appendfsync always"
    return about


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _keep(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


def _shown(line: dict[str, Any]) -> str:
    skipped = {"row", "workload", "pass", "seconds", "load_before", "versions"}
    parts = [
        f"{key} {value:,.2f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in line.items()
        if key not in skipped
    ]
    return f"{line['pass']} {line['workload']:4} {line['row']:26} {'  '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
