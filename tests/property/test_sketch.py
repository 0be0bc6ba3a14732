"""The sketch beside the exact values: its error, its sums, its merges, its bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.monitor.figures import Figures, merge_encoded
from closingbell.monitor.sketch import RELATIVE_ERROR, Sketch

#: Rounding of the last digit, beside the 1 %.
SLACK = 1e-9

numbers = st.one_of(
    st.integers(0, 200),
    st.integers(0, 10_000_000),
    st.integers(0, 2**63 - 1),
    # The bounds of bins, where a logarithm that is rounded goes astray.
    st.integers(0, 2_100).map(lambda n: round(((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)) ** n)),
)
some = st.lists(numbers, max_size=300)
fractions = st.one_of(st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]), st.floats(0, 1))


def exact(values: list[int], fraction: float) -> int:
    return sorted(values)[int(fraction * (len(values) - 1))]


@given(st.lists(numbers, min_size=1, max_size=300), fractions)
def test_quantile_is_within_one_percent_of_the_exact_one(
    values: list[int], fraction: float
) -> None:
    wanted = exact(values, fraction)
    found = Sketch(values).quantile(fraction)
    assert abs(found - wanted) <= wanted * (RELATIVE_ERROR + SLACK)


@given(st.lists(numbers, min_size=1))
def test_count_sum_least_and_greatest_are_exact(values: list[int]) -> None:
    sketch = Sketch(values)
    assert (sketch.count, sketch.total) == (len(values), sum(values))
    assert (sketch.least, sketch.greatest) == (min(values), max(values))
    assert sketch.mean == sum(values) / len(values)


@given(some, some)
def test_merge_is_the_sketch_of_all_values(one: list[int], other: list[int]) -> None:
    merged, second = Sketch(one), Sketch(other)
    merged.merge(second)
    assert merged == Sketch(one + other)
    assert second == Sketch(other), "what is merged stays as it is"


@given(st.lists(some, max_size=6), st.randoms(use_true_random=False))
def test_order_of_values_and_merges_changes_nothing(parts: list[list[int]], chance: object) -> None:
    forward, backward = Sketch(), Sketch()
    for part in parts:
        forward.merge(Sketch(part))
    for part in reversed(parts):
        mixed = list(part)
        chance.shuffle(mixed)  # type: ignore[attr-defined]
        for value in mixed:
            backward.add([value])
    assert forward == backward


@given(some)
def test_bytes_are_read_as_they_were_written(values: list[int]) -> None:
    out = bytearray(b"before")
    Sketch(values).write(out)
    read, end = Sketch.read(bytes(out) + b"after", len(b"before"))
    assert read == Sketch(values)
    assert end == len(out)


@given(some, some, st.integers(0, 9), st.integers(0, 2**40))
def test_figures_merge_as_bytes_as_they_do_in_memory(
    one: list[int], other: list[int], few: int, many: int
) -> None:
    first, second = Figures(), Figures()
    first.durations.add(one)
    first.waits.add(other)
    first.success, first.retried = few, many
    second.durations.add(other)
    second.lateness.add(one)
    second.failed, second.cancelled, second.skipped = many, few, few
    merged = Figures.decode(merge_encoded(first.encode(), second.encode()))
    first.merge(second)
    assert merged == first
    assert (merged.success, merged.failed, merged.retried) == (few, many, many)


@given(st.lists(numbers, min_size=1, max_size=200), numbers)
def test_count_up_to_counts_all_at_most_it_and_few_above(values: list[int], bound: int) -> None:
    found = Sketch(values).count_up_to(bound)
    assert found >= sum(value <= bound * (1 - SLACK) for value in values)
    assert found <= sum(value <= bound * (1 + 2.1 * RELATIVE_ERROR) for value in values)


@given(some)
def test_bytes_that_end_too_early_are_refused(values: list[int]) -> None:
    figures = Figures()
    figures.waits.add(values)
    data = figures.encode()
    for end in range(0, len(data), max(len(data) // 20, 1)):
        with pytest.raises(ValueError, match="figures"):
            Figures.decode(data[:end])
    with pytest.raises(ValueError, match="follow"):
        Figures.decode(data + b"\0")
