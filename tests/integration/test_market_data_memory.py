"""Walking a history that is four times as long takes no more memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from closingbell.core.bar import BarSource
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.memory_manifest import MemoryManifest
from closingbell.trading.walk import MarketWalk
from tests.unit.trading.market.sample import EVER, clock, series

BARS = 30_000


def peak_of_reading(source: BarSource) -> tuple[int, int]:
    """Return the most bytes that Python's and Arrow's memory grew by, while all is walked."""
    pool = pa.default_memory_pool()
    tracemalloc.start()
    try:
        before, most = pool.bytes_allocated(), 0
        walk = MarketWalk(source, "1m", 0, EVER)
        count = 0
        while walk.peek() is not None:
            walk.pop()
            count += 1
            if count % 512 == 0:
                most = max(most, pool.bytes_allocated() - before)
        return tracemalloc.get_traced_memory()[1], most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("symbols", [1, 3])
def test_memory_of_a_walk_is_flat_in_the_length_of_the_history(
    tmp_path: Path, symbols: int
) -> None:
    peaks = []
    for times in (1, 4):
        catalogue = BarCatalogue(tmp_path / str(times), MemoryManifest(), None, clock())
        for number in range(symbols):
            symbol = f"S{number}"
            bars = series(BARS * times // symbols, symbol=symbol)
            catalogue.store(symbol, bars, timeframe="1m")
            del bars
        peaks.append(peak_of_reading(catalogue))
    (python, arrow), (python_of_four, arrow_of_four) = peaks
    assert python_of_four < python * 1.2
    assert arrow_of_four <= arrow * 1.2 + 100_000
