"""What a no-op run costs, stage by stage, on both stores.

    python bench/hot_path.py --py-spy OTHER/bin/py-spy [--stores sqlite,pg] [--runs 100000]

Runs are submitted in bulk and drained twice: once undisturbed, for processor and wall time, and
once under py-spy, whose samples say where each thread was: at work, or waiting for Python's lock,
the disk or the database. Threads that have nothing to do are left out. Without py-spy only the sums
are shown. Each line is kept in bench/results/hot_path.jsonl.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    # Not this folder, whose names must not stand for other modules.
    sys.path[0] = str(ROOT)

from bench.lock import alone  # noqa: E402

RESULTS = ROOT / "bench" / "results" / "hot_path.jsonl"

#: The first pattern that any frame of a stack meets names its stage. A frame is a function with
#: its class, then file and line.
STAGES = (
    ("submit: check and encode", r" \(closingbell/submission\.py"),
    ("submit: commit", r"COMMIT$"),
    ("submit: statements", r"(submit|submit_many) \(closingbell/(app|machinery)\.py"),
    ("settle and claim: commit", r"COMMIT$"),
    ("attempt: bind the payload", r" \(closingbell/executor/(binding|annotation)\.py"),
    ("attempt: capture", r" \(closingbell/executor/capture\.py"),
    ("attempt: encode the result", r"(encode \(closingbell/runtime|outcome_of \(closingbell/)"),
    ("attempt: handler", r"invoke \(closingbell/runtime\.py|^noop \("),
    ("settle: decide, make the settlement", r"settle\w* \(closingbell/engine/attempt\.py"),
    ("settle: take what ended", r"\.(done|take_settlements) \(closingbell/engine/"),
    ("claim: make calls, deliver", r"\.(deliver|_deliver|want|call) \(closingbell/"),
    ("settle: statements", r"(^|\.)_settle \(closingbell/store/sqlite_queue\.py"),
    ("claim: statements", r"\._claim\w* \(closingbell/store/sqlite_queue\.py"),
    ("settle and claim: waiting for PostgreSQL", r"wait\w* \(psycopg"),
    ("settle and claim: one statement", r"\._settle_and_claim \(closingbell/store/"),
    ("attempt: event loop and executor", r" \(closingbell/executor/|\(asyncio/"),
    ("settle and claim: the rest of the exchange", r" \(closingbell/(store|engine/worker)"),
)
#: Innermost frames of threads that have nothing to do; a listener waits in the driver.
_IDLE = re.compile(r"\((threading|selectors|.*/selectors)\.py|\(closingbell/executor/loop\.py")
_LISTENS = "store/postgres_hint.py"
#: The main thread while runs are drained.
_WAITS_FOR_DRAIN = re.compile(r"\.(select|finished|has_finished|start_service) \(")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--stores", default="sqlite,pg")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=500, help="samples a second")
    parser.add_argument("--py-spy", default=shutil.which("py-spy"))
    parser.add_argument("--child", choices=("sqlite", "pg"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        asyncio.run(_drain(given.child, given.runs))
        return 0
    RESULTS.parent.mkdir(exist_ok=True)
    for store in given.stores.split(","):
        with alone():
            line = _profile(store, given.runs, given.rate, given.py_spy)
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")
        _show(line)
    return 0


def _profile(store: str, runs: int, rate: int, py_spy: str | None) -> dict[str, Any]:
    from bench.servers import DefaultPostgres

    command = [sys.executable, "-m", "bench.hot_path", "--child", store, "--runs", str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(DefaultPostgres()) if store == "pg" else None

        def run(prefix: list[str]) -> dict[str, float]:
            with contextlib.ExitStack() as inner:
                environment["BENCH_FOLDER"] = inner.enter_context(tempfile.TemporaryDirectory())
                if server is not None:
                    environment["BENCH_POSTGRES"] = inner.enter_context(server.database())
                ran = subprocess.run(
                    prefix + command, cwd=ROOT, env=environment, capture_output=True, text=True
                )
            lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
            if not lines:
                raise SystemExit(f"the drain failed:\n{ran.stderr[-3000:]}")
            found: dict[str, float] = json.loads(lines[-1])
            return found

        numbers = run([])
        stages: dict[str, float] = {}
        if py_spy:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "stacks"
                options = ["--idle", "--format", "raw", "--output", str(out)]
                run([py_spy, "record", "--rate", str(rate), *options, "--"])
                stages = _stages(out.read_text(), numbers)
    return {"store": store, "runs": runs, **numbers, "stages": stages}


def _stages(text: str, numbers: dict[str, float]) -> dict[str, float]:
    """Microseconds of each stage a run: its share of the samples of its phase.

    The main thread is in one phase or the other all the time, so its samples count the others'
    time also when the profiler is slower than it should be.
    """
    found: dict[str, int] = {}
    ticks = {"submit": 0, "drain": 0}
    for line in text.splitlines():
        frames, _, samples = line.rpartition(" ")
        stack = [_with_statement(frame) for frame in frames.split(";")]
        count = int(samples)
        is_client = any(frame.startswith("main (") for frame in stack)
        is_submit = any(".submit_bulk (" in frame for frame in stack)
        if is_submit:
            ticks["submit"] += count
        elif is_client:
            if any(_WAITS_FOR_DRAIN.search(frame) for frame in stack):
                ticks["drain"] += count
            continue
        idle = _IDLE.search(stack[-1]) or any(_LISTENS in frame for frame in stack)
        stage = None if idle else _stage(stack, is_submit)
        if stage is not None:
            found[stage] = found.get(stage, 0) + count
    shares = {
        name: found[name] / ticks["submit" if name.startswith("submit") else "drain"]
        for name, _ in STAGES
        if name in found
    }
    return {
        name: share * numbers["submit_us" if name.startswith("submit") else "drain_us"]
        for name, share in shares.items()
    }


def _with_statement(frame: str) -> str:
    """Mark the frame whose line commits."""
    place = re.search(r"\((closingbell/[^:]+):(\d+)\)", frame)
    if place is None:
        return frame
    lines = _source(place[1])
    number = int(place[2])
    if number <= len(lines) and re.search(r"COMMIT|\.commit\(", lines[number - 1]):
        return f"{frame} COMMIT"
    return frame


@functools.cache
def _source(name: str) -> list[str]:
    return (ROOT / "src" / name).read_text().splitlines()


def _stage(stack: list[str], is_submit: bool) -> str | None:
    for name, pattern in STAGES:
        if name.startswith("submit") == is_submit and any(re.search(pattern, f) for f in stack):
            return name
    return None


async def _drain(store: str, runs: int) -> None:
    """The measured process: submit, drain, print what each run cost."""
    from bench.peers.closingbell import ClosingBell
    from bench.workloads import Measurement, payloads

    peer = ClosingBell(Path(os.environ["BENCH_FOLDER"]), store)
    await peer.prepare()
    await peer.submit_bulk("noop", payloads(100))
    began, cpu = time.perf_counter(), time.process_time()
    for start in range(0, runs, 5_000):
        await peer.submit_bulk("noop", payloads(5_000, start))
    submit_wall, submit_cpu = time.perf_counter() - began, time.process_time() - cpu
    server = _server_seconds()
    began, cpu = time.perf_counter(), time.process_time()
    peer.start_service("io")
    await Measurement(peer, single=0, many=runs).finished(runs + 100)
    drain_wall, drain_cpu = time.perf_counter() - began, time.process_time() - cpu
    numbers = {
        "submit_us": submit_wall / runs * 1e6,
        "submit_cpu_us": submit_cpu / runs * 1e6,
        "drain_us": drain_wall / runs * 1e6,
        "drain_cpu_us": drain_cpu / runs * 1e6,
    }
    if store == "pg":
        numbers["drain_server_cpu_us"] = (_server_seconds() - server) / runs * 1e6
    print(json.dumps(numbers), flush=True)
    peer.stop_service()


def _server_seconds() -> float:
    """Processor seconds of every PostgreSQL process that this user may see."""
    import psutil

    total = 0.0
    for process in psutil.process_iter(["name", "cpu_times"]):
        if process.info["name"] == "postgres" and process.info["cpu_times"]:
            total += sum(process.info["cpu_times"][:2])
    return total


def _show(line: dict[str, Any]) -> None:
    print(f"\n{line['store']}, microseconds a run ({line['runs']:,} runs)")
    for name, value in line.items():
        if name.endswith("_us"):
            print(f"  {name.removesuffix('_us').replace('_', ' '):44} {value:8.2f}")
    for name, value in line["stages"].items():
        print(f"  {name:44} {value:8.2f}")


if __name__ == "__main__":
    sys.exit(main())
