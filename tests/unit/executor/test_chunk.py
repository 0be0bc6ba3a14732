from __future__ import annotations

from closingbell.executor.chunk import CHUNK_RUNS, CHUNKS_AHEAD, Durations, chunk_size


def known(**seconds: float) -> Durations:
    durations = Durations()
    for task, duration in seconds.items():
        durations.learn(task, duration)
    return durations


def test_runs_of_unknown_length_travel_alone() -> None:
    assert chunk_size(["new"] * 10, 10, Durations(), 1) == 1
    assert Durations().places() == 1


def test_short_runs_travel_together_up_to_the_work_of_a_chunk() -> None:
    assert chunk_size(["ms"] * 100, 100, known(ms=0.001), 1) == 8
    assert chunk_size(["tiny"] * 100, 100, known(tiny=1e-5), 1) == CHUNK_RUNS


def test_a_long_or_unknown_run_ends_a_chunk() -> None:
    durations = known(ms=0.001, long=1.0)
    assert chunk_size(["ms", "ms", "long", "ms"], 4, durations, 1) == 2
    assert chunk_size(["long", "ms"], 2, durations, 1) == 1
    assert chunk_size(["ms", "new"], 2, durations, 1) == 1


def test_the_last_runs_are_shared_among_the_children() -> None:
    assert chunk_size(["ms"] * 4, 4, known(ms=0.001), 2) == 2
    assert chunk_size(["ms"], 1, known(ms=0.001), 2) == 1
    assert chunk_size([], 0, known(ms=0.001), 2) == 0


def test_places_grow_with_short_runs_and_shrink_with_long_ones() -> None:
    durations = known(ms=0.001)
    assert durations.places() == CHUNKS_AHEAD * 8
    for _ in range(50):
        durations.learn("long", 0.1)
    assert durations.places() == 1
    assert known(tiny=1e-7).places() == CHUNKS_AHEAD * CHUNK_RUNS


def test_a_run_that_takes_longer_is_believed_sooner_than_one_that_is_quick() -> None:
    durations = known(t=0.001)
    durations.learn("t", 0.1)
    assert not durations.is_short("t")
    quick = known(t=0.1)
    quick.learn("t", 0.001)
    assert not quick.is_short("t")
