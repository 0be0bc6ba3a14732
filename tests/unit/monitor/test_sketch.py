"""What the sketch refuses, and what it costs to keep."""

from __future__ import annotations

import pytest

from closingbell.monitor.figures import Figures
from closingbell.monitor.sketch import Sketch


def test_sketch_of_nothing_answers_zero() -> None:
    sketch = Sketch()
    assert (sketch.count, sketch.least, sketch.greatest, sketch.mean) == (0, 0, 0, 0.0)
    assert sketch.quantile(0.99) == 0.0
    assert sketch.count_up_to(7) == 0


def test_negative_value_is_refused_and_nothing_is_counted() -> None:
    sketch = Sketch([5])
    with pytest.raises(ValueError, match="-1"):
        sketch.add([7, -1])
    assert sketch == Sketch([5])


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_quantile_of_no_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Sketch([1]).quantile(fraction)


def test_figures_of_a_million_runs_are_a_few_kilobytes() -> None:
    figures = Figures()
    for start in range(0, 1_000_000, 50_000):
        values = range(start, start + 50_000)
        figures.durations.add(values)
        figures.waits.add(values)
        figures.lateness.add(values)
    assert figures.durations.count == 1_000_000
    assert len(figures.encode()) < 9_000


@pytest.mark.parametrize("data", [b"", b"\x02", b"\xff" * 40])
def test_bytes_of_another_layout_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="layout"):
        Figures.decode(data)
