"""When a dependent task is ready: all have succeeded anew, and freshly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.task import TaskDefinition
from closingbell.scheduler.dependency import Success, ready_at, waiting_for

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TASK = TaskDefinition(name="report", handler=print, after=("a", "b"), within=6 * HOUR)


def successes(a: float | None, b: float | None) -> dict[str, Success | None]:
    """Successes so many hours ago."""
    ago = {"a": a, "b": b}
    return {n: None if h is None else Success(n, NOW - h * HOUR) for n, h in ago.items()}


def test_ready_is_the_end_of_the_newest_success() -> None:
    assert ready_at(TASK, successes(3, 1), None, NOW) == NOW - HOUR


def test_not_ready_before_every_one_has_succeeded() -> None:
    assert ready_at(TASK, successes(3, None), None, NOW) is None
    assert waiting_for(TASK, successes(3, None), None, NOW) == ["b has not succeeded yet"]


def test_not_ready_when_a_success_is_too_old() -> None:
    assert ready_at(TASK, successes(7, 1), None, NOW) is None
    assert waiting_for(TASK, successes(7, 1), None, NOW) == ["a succeeded 7:00:00 ago: too old"]


def test_not_ready_when_a_success_was_used_already() -> None:
    last = NOW - 2 * HOUR

    assert ready_at(TASK, successes(3, 1), last, NOW) is None
    assert waiting_for(TASK, successes(3, 1), last, NOW) == [
        "a has not succeeded again since the last firing"
    ]


hours = st.none() | st.floats(0, 10)


@given(a=hours, b=hours, last=hours)
def test_ready_and_waiting_never_contradict_and_no_success_is_used_twice(
    a: float | None, b: float | None, last: float | None
) -> None:
    last_fire_at = None if last is None else NOW - last * HOUR
    found = successes(a, b)
    ready = ready_at(TASK, found, last_fire_at, NOW)

    assert (ready is None) == bool(waiting_for(TASK, found, last_fire_at, NOW))
    if ready is not None:
        assert last_fire_at is None or ready > last_fire_at
        assert ready_at(TASK, found, ready, NOW) is None
