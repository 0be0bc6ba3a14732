"""`import closingbell` stays light: everything heavy loads when an app is made."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = {
    "alembic",
    "asyncpg",
    "cronsim",
    "fastapi",
    "numpy",
    "pandas",
    "psycopg",
    "pydantic",
    "ray",
    "rich",
    "sqlalchemy",
    "typer",
    "uvloop",
}
LARGEST_MB = 35

PROBE = """
import sys, json, pathlib
import closingbell
status = pathlib.Path("/proc/self/status")
print(json.dumps({
    "file": closingbell.__file__,
    "modules": sorted(sys.modules),
    "status": status.read_text() if status.exists() else "",
}))
"""


@pytest.fixture(scope="module")
def fresh_import() -> dict[str, Any]:
    """What a new interpreter holds after `import closingbell`."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_import_of_closingbell_loads_nothing_heavy(fresh_import: dict[str, Any]) -> None:
    assert fresh_import["file"]
    assert HEAVY & {name.split(".")[0] for name in fresh_import["modules"]} == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_import_of_closingbell_stays_under_35_mb(fresh_import: dict[str, Any]) -> None:
    fields = dict(line.split(":", 1) for line in fresh_import["status"].splitlines())
    assert int(fields["VmRSS"].removesuffix("kB")) / 1024 < LARGEST_MB
