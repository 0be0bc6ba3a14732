"""One strategy for every backtester: two moving averages cross, a fixed number of units.

    python -m bench.crossing ADAPTER BARS.csv --folder F

`bench/trading.py` calls it, with the interpreter that has the backtester; closingbell need not be
installed there. It prints one JSON line.

The rules: at each bar's close the means of the last ten and of the last fifty closes are compared.
When the short one comes to be above the long one, a market order buys `UNITS`; when it comes to be
below, a market order sells what is held. Orders fill at the next bar's open, for no fee and
without slippage.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

FAST, SLOW, UNITS, CASH = 10, 50, 5, 1_000_000
SYMBOL = "GOOG"


class Line(NamedTuple):
    """One bar of the file; prices as text, instants in microseconds since the epoch."""

    start: int
    end: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class Trip(NamedTuple):
    """One round trip: what it was bought and sold for, in cents."""

    bought: int
    sold: int


def trip(bought: Any, sold: Any) -> Trip:
    """Return a round trip from two prices."""
    return Trip(round(float(bought) * 100), round(float(sold) * 100))


def read(path: Path) -> list[Line]:
    with path.open(newline="") as file:
        return [Line(int(line[0]), int(line[1]), *line[2:]) for line in csv.reader(file)]


def write(path: Path, lines: list[Line]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def peak_mib() -> float:
    """Return this process's own peak of resident memory."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("adapter")
    parser.add_argument("bars", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    adapter = importlib.import_module(f"bench.peers.{given.adapter}")
    lines = read(given.bars)
    run = adapter.prepare(lines, given.folder)
    began, worked = time.perf_counter(), time.process_time()
    outcome = run()
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - worked
    trips: list[Trip] = adapter.trips(outcome)
    numbers = {
        "bars_per_s": round(len(lines) / seconds, 1),
        "bars_per_cpu_s": round(len(lines) / cpu_s, 1),
        "seconds_of_it": round(seconds, 4),
        "cpu_s": round(cpu_s, 4),
        "bars": len(lines),
        "round_trips": len(trips),
        "trips_sha256": hashlib.sha256(repr([tuple(t) for t in trips]).encode()).hexdigest()[:16],
        "peak_mib": peak_mib(),
        "versions": {name: metadata.version(name) for name in adapter.DISTRIBUTIONS},
    }
    print(json.dumps(numbers), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
