"""Run ids: unique and increasing, whatever the clock does."""

from __future__ import annotations

import os
import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.identity import RunIds


@given(st.lists(st.tuples(st.integers(0, 2**47), st.integers(1, 50)), min_size=1, max_size=20))
def test_ids_increase_and_are_unique_although_the_clock_steps_back(
    steps: list[tuple[int, int]],
) -> None:
    millis = [0]
    ids = RunIds(lambda: millis[0], os.urandom)
    taken: list[str] = []
    for now, count in steps:
        millis[0] = now
        taken += ids.take(count)

    assert taken == sorted(set(taken))
    assert len(taken) == sum(count for _, count in steps)


def test_id_is_a_uuid_of_version_7_with_its_time() -> None:
    run_id = uuid.UUID(RunIds(lambda: 0x0123456789AB, os.urandom).next())

    assert (run_id.version, run_id.variant) == (7, uuid.RFC_4122)
    assert run_id.int >> 80 == 0x0123456789AB


def test_many_ids_at_the_end_of_the_random_range_carry_over() -> None:
    ids = RunIds(lambda: 5, lambda n: b"\xff" * n)
    taken = ids.take(10_000)

    assert taken == sorted(set(taken))
    assert all(uuid.UUID(one).version == 7 for one in taken)


def test_threads_never_share_an_id() -> None:
    ids = RunIds(lambda: 7, os.urandom)
    taken: list[list[str]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda n=n: taken[n].extend(ids.next() for _ in range(500)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one for part in taken for one in part}) == 4_000
