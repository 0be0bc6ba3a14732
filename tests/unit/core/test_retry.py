"""Backoff: bounded, growing, and finite at any attempt."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import PolicyError
from closingbell.core.retry import RetryPolicy

policies = st.builds(
    RetryPolicy,
    retries=st.integers(0, 100),
    initial_delay=st.timedeltas(timedelta(0), timedelta(days=1)),
    backoff_factor=st.floats(1.0, 100.0),
    max_delay=st.timedeltas(timedelta(0), timedelta(days=7)),
    jitter=st.booleans(),
)


def test_bound_doubles_up_to_the_cap() -> None:
    policy = RetryPolicy(initial_delay=timedelta(seconds=1), max_delay=timedelta(seconds=10))

    assert [policy.bound(n).total_seconds() for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@given(policy=policies, attempt=st.integers(1, 10_000))
def test_bound_never_overflows_never_shrinks_and_keeps_the_cap(
    policy: RetryPolicy, attempt: int
) -> None:
    bound = policy.bound(attempt)

    assert timedelta(0) <= bound <= policy.max_delay
    assert bound <= policy.bound(attempt + 1)


@given(policy=policies, attempt=st.integers(1, 100), seed=st.integers())
def test_next_delay_lies_within_the_bound_and_is_it_without_jitter(
    policy: RetryPolicy, attempt: int, seed: int
) -> None:
    delay = policy.next_delay(attempt, Random(seed))

    assert timedelta(0) <= delay <= policy.bound(attempt)
    assert policy.jitter or delay == policy.bound(attempt)


def test_next_delay_with_jitter_spreads_over_the_whole_bound() -> None:
    policy, rng = RetryPolicy(initial_delay=timedelta(seconds=10)), Random(7)
    seconds = sorted(policy.next_delay(1, rng).total_seconds() for _ in range(1_000))

    assert seconds[0] < 0.5
    assert seconds[-1] > 9.5
    assert 4.5 < sum(seconds) / 1_000 < 5.5


@pytest.mark.parametrize(
    "values",
    [
        {"retries": -1},
        {"retries": True},
        {"retries": 1.0},
        {"backoff_factor": 0.99},
        {"backoff_factor": float("nan")},
        {"initial_delay": timedelta(-1)},
        {"max_delay": timedelta(-1)},
    ],
)
def test_policy_with_an_impossible_value_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        RetryPolicy(**values)


def test_bound_of_no_attempt_is_refused() -> None:
    with pytest.raises(PolicyError):
        RetryPolicy().bound(0)
