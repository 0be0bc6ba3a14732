"""Run every test that needs no external server, in two processes beside each other; `make test` runs it.

    python scripts/run_tests.py

Most tests wait for real clocks, databases and child processes, so that two processes take about half
as long as one. Each has its own PostgreSQL. The first one's output is shown as it comes, the second's
when both have ended. The exit code is 1 when either fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What the first process runs; the second runs everything else below tests/.
FIRST = ("tests/acceptance", "tests/chaos")


def main() -> int:
    """Run both halves; return the exit code."""
    others = ["tests", *(f"--ignore={folder}" for folder in FIRST)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        env = _environment()
        second = subprocess.Popen(_command(others), cwd=ROOT, env=env, stdout=output, stderr=output)
        try:
            first_code = subprocess.run(_command(FIRST), cwd=ROOT, env=env, check=False).returncode
            second_code = second.wait()
        finally:
            if second.poll() is None:
                second.terminate()
                second.wait()
        output.seek(0)
        print("=== all other tests", flush=True)
        for line in output:
            sys.stdout.write(line)
    return 0 if first_code == second_code == 0 else 1


def _environment() -> dict[str, str]:
    """Return an environment in which the many child processes of tests need not compile anew."""
    return {n: value for n, value in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}


def _command(what: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-m", "not chaos_full", *what]


if __name__ == "__main__":
    sys.exit(main())
