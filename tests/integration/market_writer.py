"""A process that stores bars one after the other, and says each one that is stored.

python -m tests.integration.market_writer ADDRESS FOLDER FIRST STEP COUNT
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from closingbell.core.clock import SystemClock
from closingbell.store.store import open_store
from closingbell.trading.market.catalogue import BarCatalogue

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = 60_000_000


def row(minute: int) -> dict[str, object]:
    """The bar of a minute; its price tells which."""
    at = int(START.timestamp() * 1_000_000) + minute * MINUTE
    return {"time": at, **dict.fromkeys(("open", "high", "low", "close"), minute + 1)}


def main(address: str, folder: str, first: int, step: int, count: int) -> None:
    clock = SystemClock()
    store = open_store(address, clock)
    catalogue = BarCatalogue(folder, store.manifest, None, clock)
    for number in range(count):
        minute = first + number * step
        catalogue.store("X", [row(minute)], timeframe="1m")
        print(minute, flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
