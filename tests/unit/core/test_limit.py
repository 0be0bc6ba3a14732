"""Lanes and admission: the count of what may start is exact."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import PolicyError
from closingbell.core.limit import Admission, Bucket, Lane, Rate, Room
from closingbell.core.task import TaskDefinition


def text(lane: Lane) -> str:
    encoded = lane.encode()
    assert encoded is not None
    return encoded


names = st.text("abc/:", min_size=1, max_size=4)
lanes = st.builds(
    Lane,
    gates=st.lists(st.tuples(names, st.integers(1, 5)), max_size=3, unique_by=lambda g: g[0]).map(
        tuple
    ),
    bucket=st.none()
    | st.builds(
        Bucket,
        names,
        st.integers(3, 9),
        st.sampled_from([1_000_000, 60_000_000]),
        st.integers(1, 3),
    ),
    cpu=st.sampled_from([0.0, 0.5, 1.0]),
    memory=st.sampled_from([0, 2**20]),
)


@given(lanes)
def test_lane_text_reads_back_as_the_same_lane(lane: Lane) -> None:
    encoded = lane.encode()

    assert encoded is None or Lane.decode(encoded) == lane
    assert (encoded is None) == (lane == Lane())


@given(lane=lanes.filter(lambda lane: lane.encode() is not None), running=st.integers(0, 6))
def test_admission_admits_exactly_its_capacity(lane: Lane, running: int) -> None:
    room = Room(2.0, 3 * 2**20)
    admission = Admission({text(lane): running}, {}, room)
    capacity = admission.capacity(text(lane))
    admitted = 0
    while admitted < 1_000 and admission.admit(text(lane)):
        admitted += 1

    assert admitted == min(capacity, 1_000)
    assert (admission.blocking(text(lane)) is None) == (capacity > admitted)
    for _, limit in lane.gates:
        assert admitted <= max(limit - running, 0)
    if lane.bucket is not None:
        assert admitted * lane.bucket.weight <= lane.bucket.limit
    assert admitted * lane.cpu <= room.cpu
    assert admitted * lane.memory <= room.memory


def test_gate_counts_the_runs_of_all_lanes_that_name_it() -> None:
    one = text(Lane((("account:1", 2),)))
    other = text(Lane((("account:1", 2), ("task:b", 5))))
    admission = Admission({one: 1}, {}, Room())

    assert admission.admit(other) is True
    assert admission.admit(one) is False
    assert admission.blocking(one) == "limit account:1 is full: 2 of 2 running"


def test_bucket_is_shared_and_what_is_used_counts() -> None:
    heavy = text(Lane((), Bucket("binance", 10, 60_000_000, 4)))
    light = text(Lane((), Bucket("binance", 10, 60_000_000, 1)))
    admission = Admission({}, {("binance", 60_000_000): 3}, Room())

    assert [admission.admit(heavy), admission.admit(heavy)] == [True, False]
    assert sum(admission.admit(light) for _ in range(10)) == 3


def test_rate_text_is_read() -> None:
    assert Rate.parse("10/s") == Rate(10, timedelta(seconds=1))
    assert Rate.parse("1200/1m@binance") == Rate(1200, timedelta(minutes=1), "binance")
    assert Rate.parse(" 5 / 2 h ") == Rate(5, timedelta(hours=2))
    assert Rate.parse(Rate(1, 1)) == Rate(1, timedelta(seconds=1))


@pytest.mark.parametrize("given", ["", "fast", "0/s", "10/", "10/parsec", "-1/s", "1.5/s", None])
def test_rate_text_that_cannot_be_read_is_refused(given: str | None) -> None:
    with pytest.raises(PolicyError, match="10/s"):
        Rate.parse(given)  # type: ignore[arg-type]


def test_rate_weight_beyond_its_limit_is_refused() -> None:
    with pytest.raises(PolicyError, match="weight"):
        Rate(5, "1s", weight=6)


def test_task_lane_follows_its_key_and_its_schedule() -> None:
    plain = TaskDefinition(name="t", handler=print)
    keyed = TaskDefinition(name="t", handler=print, max_concurrent=1, key="{account}")

    assert plain.lane({}) is None
    assert Lane.decode(plain.lane({}, "nightly") or "").gates == (("schedule:nightly", 1),)
    assert Lane.decode(keyed.lane({"account": "A"}) or "").gates == (("task:t/A", 1),)
    with pytest.raises(ValueError, match="cannot be read from the payload"):
        keyed.lane({"acount": "A"})
