"""W8: what an import costs, and how long a start takes; each in fresh interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from bench.rows import Row
from bench.workloads import Numbers, percentile

_IMPORT = """
import json, time
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
before = rss()
began = time.perf_counter()
{statement}
took = (time.perf_counter() - began) * 1000
print(json.dumps({{"import_ms": took, "import_rss_mib": rss(), "bare_rss_mib": before}}))
"""
# Task, decorators and triggers, as a module of tasks imports them.
_OURS = """
from closingbell import Task, create_app
from closingbell.triggers import At, Cron, Daily, Every, Session
"""
_START = """
import json, time
began = time.perf_counter()
from closingbell import create_app
app = create_app("sqlite:///start.db")
@app.task
async def noop(payload):
    return 1
app.start(block=False)
ready = time.perf_counter()
app.submit("noop", {"i": 1}).result(10)
first = time.perf_counter()
app.stop()
print(json.dumps({"ready_s": ready - began, "first_result_s": first - began}))
"""


def measure(row: Row, imports: str) -> Numbers:
    """Return medians over fresh interpreters; starts are closingbell's alone."""
    statement = imports + _OURS if row.is_ours else imports
    numbers = _medians(_IMPORT.format(statement=statement), times=9)
    if row.is_ours:
        with tempfile.TemporaryDirectory() as folder:
            empty = _run(_START, folder)
            again = _medians(_START, times=5, folder=folder)
        numbers |= {
            "ready_empty_store_s": empty["ready_s"],
            "ready_s": again["ready_s"],
            "first_result_s": again["first_result_s"],
        }
    return numbers


def _medians(script: str, times: int, folder: str | None = None) -> Numbers:
    # The first one reads the files from the disk.
    _run(script, folder)
    found: Sequence[Numbers] = [_run(script, folder) for _ in range(times)]
    return {key: percentile([each[key] for each in found], 0.5) for key in found[0]}


def _run(script: str, folder: str | None) -> Numbers:
    ran = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=folder
    )
    numbers: Numbers = json.loads(ran.stdout.splitlines()[-1])
    return numbers
