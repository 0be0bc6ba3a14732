"""What a worker's settlements become in the figures, and what a store's failure does to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from closingbell.core.error import StoreUnavailable
from closingbell.core.run import Claim, Settlement
from closingbell.monitor.figures import Figures
from closingbell.monitor.recorder import FigureRow, Recorder, rows_elsewhere
from closingbell.monitor.window import DAY, EVER, HOUR, MINUTE, TOTAL

SECOND = 1_000_000
START = 1_772_461_800 * SECOND


class Kept:
    """A store that keeps each batch, or fails."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[FigureRow]]] = []
        self.fails = False

    def add(
        self, rows: Sequence[FigureRow], batch: int, merge: Callable[[bytes, bytes], bytes]
    ) -> bool:
        self.batches.append((batch, list(rows)))
        if self.fails:
            raise StoreUnavailable("gone")
        return True

    def figures(self, width_s: int = EVER, task: str = "scan") -> Figures:
        """The sum of what was kept of a width."""
        total = Figures()
        for _, rows in self.batches:
            for row in rows:
                if (row.width_s, row.task) == (width_s, task):
                    total.merge(Figures.decode(row.data))
        return total


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def recorder(kept: Kept) -> Recorder:
    return Recorder("w1", kept)


def claim(**changes: object) -> Claim:
    made = Claim(
        "r1", 1, "scan", "{}", 1, 3, 300.0, START, None, None, None, "async", 0, None, START
    )
    return made._replace(**changes)  # type: ignore[arg-type]


def ended(
    of: Claim, state: str = "success", outcome: str = "returned", **changes: int
) -> Settlement:
    made = Settlement(of.id, of.fence, state, outcome, of.attempt, START + 2 * SECOND)
    return made._replace(**changes)  # type: ignore[arg-type]


def test_success_counts_its_duration_wait_and_lateness(recorder: Recorder, kept: Kept) -> None:
    late = claim(due_at=START - SECOND, fire_at=START - 3 * SECOND)
    recorder.note([(late, ended(late, started_at=START + SECOND))])
    recorder.flush()
    found = kept.figures()
    assert found.success == 1
    assert (found.durations.count, found.durations.total) == (1, SECOND)
    assert (found.waits.count, found.waits.total) == (1, 2 * SECOND)
    assert (found.lateness.count, found.lateness.total) == (1, 4 * SECOND)


def test_run_without_a_plan_is_late_by_its_wait(recorder: Recorder, kept: Kept) -> None:
    waited = claim(due_at=START - 5 * SECOND)
    recorder.note([(waited, ended(waited))])
    recorder.flush()
    assert kept.figures().lateness.total == 5 * SECOND


def test_claim_ahead_of_its_instant_is_not_early(recorder: Recorder, kept: Kept) -> None:
    ahead = claim(due_at=START + 25_000, fire_at=START + 25_000)
    recorder.note([(ahead, ended(ahead))])
    recorder.flush()
    assert (kept.figures().waits.greatest, kept.figures().lateness.greatest) == (0, 0)


def test_later_attempt_counts_its_wait_and_no_lateness(recorder: Recorder, kept: Kept) -> None:
    again = claim(fence=2, attempt=2, fire_at=START - 60 * SECOND, due_at=START - SECOND)
    recorder.note([(again, ended(again))])
    recorder.flush()
    assert kept.figures().waits.total == SECOND
    assert kept.figures().lateness.count == 0


@pytest.mark.parametrize(
    ("state", "outcome", "counted"),
    [
        ("failed", "raised", "failed"),
        ("failed", "lost", "failed"),
        ("cancelled", "cancelled", "cancelled"),
        ("cancelled", "given_back", "cancelled"),
        ("skipped", "skipped", "skipped"),
        ("scheduled", "raised", "retried"),
        ("scheduled", "timed_out", "retried"),
        ("scheduled", "lost", "retried"),
        ("scheduled", "snoozed", None),
        ("pending", "given_back", None),
    ],
)
def test_other_ends_are_counted_by_name_and_have_no_duration(
    recorder: Recorder, kept: Kept, state: str, outcome: str, counted: str | None
) -> None:
    recorder.note([(claim(), ended(claim(), state, outcome))])
    recorder.flush()
    found = kept.figures()
    names = ("success", "failed", "cancelled", "skipped", "retried")
    assert [name for name in names if getattr(found, name)] == ([counted] if counted else [])
    assert found.durations.count == 0
    assert found.waits.count == (0 if outcome == "given_back" else 1)


def test_flush_adds_each_run_once_to_minute_hour_day_and_ever(
    recorder: Recorder, kept: Kept
) -> None:
    # More than are gathered before they are put into sketches, over three minutes and two tasks.
    runs = [claim(id=f"r{n}", task=("scan", "sync")[n % 2]) for n in range(3_000)]
    recorder.note([(run, ended(run, finished_at=START + n * 60_000)) for n, run in enumerate(runs)])
    recorder.flush()
    for width in (MINUTE, HOUR, DAY, EVER):
        for task in ("scan", "sync"):
            assert kept.figures(width, task).durations.count == 1_500
            assert kept.figures(width, task).success == 1_500
    [(batch, rows)] = kept.batches
    assert batch == 1
    assert {row.worker for row in rows if row.width_s == MINUTE} == {"w1"}
    assert {row.worker for row in rows if row.width_s != MINUTE} == {""}
    assert rows[0].width_s == MINUTE
    keys = [row[:3] for row in rows]
    assert len(set(keys)) == len(keys)


def test_flush_of_nothing_writes_nothing(recorder: Recorder, kept: Kept) -> None:
    recorder.flush()
    recorder.note([(claim(), ended(claim()))])
    recorder.flush()
    recorder.flush()
    assert [batch for batch, _ in kept.batches] == [1]


def test_batch_that_failed_is_sent_again_unchanged_before_the_next(
    recorder: Recorder, kept: Kept
) -> None:
    recorder.note([(claim(), ended(claim()))])
    kept.fails = True
    with pytest.raises(StoreUnavailable):
        recorder.flush()
    recorder.note([(claim(id="r2"), ended(claim(id="r2")))])
    with pytest.raises(StoreUnavailable):
        recorder.flush()
    kept.fails = False
    recorder.flush()
    assert [batch for batch, _ in kept.batches] == [1, 1, 1, 2]
    assert kept.batches[0] == kept.batches[1] == kept.batches[2]


def test_run_that_ended_elsewhere_counts_without_waits() -> None:
    rows = rows_elsewhere("scan", "success", START, START + SECOND)
    rows += rows_elsewhere("scan", "failed", START, START + SECOND)
    total = Figures()
    for row in rows:
        if (row.width_s, row.task) == (EVER, "scan"):
            total.merge(Figures.decode(row.data))
    assert (total.success, total.failed, total.durations.total) == (1, 1, SECOND)
    assert total.waits.count == total.lateness.count == 0


def test_all_tasks_add_up_in_rows_of_their_own(recorder: Recorder, kept: Kept) -> None:
    for task, count in (("scan", 3), ("sync", 2)):
        runs = [claim(id=f"{task}{n}", task=task) for n in range(count)]
        recorder.note([(run, ended(run)) for run in runs])
    recorder.flush()
    for width in (MINUTE, HOUR, DAY, EVER):
        assert kept.figures(width, TOTAL).success == 5
    together = Figures()
    for row in rows_elsewhere("scan", "success", START, START + SECOND):
        if (row.width_s, row.task) == (EVER, TOTAL):
            together.merge(Figures.decode(row.data))
    assert together.success == 1
