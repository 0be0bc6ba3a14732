"""Run every test that needs no external server, in five processes beside each other; `make test` runs it.

    python scripts/run_tests.py

Most tests wait for real clocks, databases and child processes, so that several processes take a fraction
of the time of one. Each has its own PostgreSQL. The first one's output is shown as it comes, that of the
others when it has ended. The exit code is 1 when any fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
_ACCEPTANCE = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "tests/acceptance").glob("test_*.py")
)
#: What each process runs, about as long as each other; the last runs everything else below tests/.
PARTS = (
    _ACCEPTANCE[::2],
    _ACCEPTANCE[1::2],
    ["tests/docs", "tests/chaos"],
    ["tests/integration", "tests/conformance"],
)


def main() -> int:
    """Run all parts; return the exit code."""
    named = ["tests/acceptance", *PARTS[2], *PARTS[3]]
    rest = ["tests", *(f"--ignore={folder}" for folder in named)]
    others = [_Part(what) for what in (*PARTS[1:], rest)]
    codes = []
    try:
        codes.append(
            subprocess.run(_command(PARTS[0]), cwd=ROOT, env=_environment(), check=False).returncode
        )
        codes += [part.wait() for part in others]
    finally:
        for part in others:
            part.end()
    return 1 if any(codes) else 0


class _Part:
    """Some of the tests, in a process whose output is kept until it has ended."""

    def __init__(self, what: Sequence[str]) -> None:
        self._what = what
        self._output: IO[str] = tempfile.TemporaryFile(  # noqa: SIM115  (`end` closes it)
            "w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            _command(what), cwd=ROOT, env=_environment(), stdout=self._output, stderr=self._output
        )

    def wait(self) -> int:
        """Show the output once it is whole; return the exit code."""
        code = self._process.wait()
        self._output.seek(0)
        print(f"=== {' '.join(self._what)}", flush=True)
        for line in self._output:
            sys.stdout.write(line)
        return code

    def end(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._output.close()


def _environment() -> dict[str, str]:
    """Return an environment in which the many child processes of tests need not compile anew."""
    return {n: value for n, value in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}


def _command(what: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-m", "not chaos_full", *what]


if __name__ == "__main__":
    sys.exit(main())
