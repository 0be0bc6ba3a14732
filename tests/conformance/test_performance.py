"""Figures of performance, on each store."""

from __future__ import annotations

import threading

from closingbell.core.run import Claim
from closingbell.monitor.figures import Figures, merge_encoded
from closingbell.monitor.recorder import Recorder, rows_elsewhere
from closingbell.monitor.window import DAY, EVER, HOUR, KEPT, MINUTE, Span, read_figures
from tests.conformance.desk import SECOND, Desk


def claim(desk: Desk, number: int, task: str = "risk_scan") -> Claim:
    at = desk.now
    return Claim(
        f"r{number}", 1, task, "{}", 1, 3, 300.0, at, None, None, None, "async", 0, None, at
    )


def note(desk: Desk, recorder: Recorder, count: int, seconds: int, task: str = "risk_scan") -> None:
    """Let runs end that took so long."""
    claims = [claim(desk, n, task) for n in range(count)]
    recorder.note([(c, desk.settle(c, finished_at=desk.now + seconds * SECOND)) for c in claims])


def read(desk: Desk, window_s: int | None = None, task: str | None = None) -> dict[str, Figures]:
    window = None if window_s is None else window_s * SECOND
    return read_figures(desk.store.performance, desk.now, task, window)


def test_figures_of_two_workers_add_up(desk: Desk) -> None:
    one, other = (Recorder(name, desk.store.performance) for name in ("w1", "w2"))
    note(desk, one, 3, 1)
    note(desk, other, 2, 3)
    note(desk, other, 1, 5, "valuation")
    for recorder in (one, other, one):
        recorder.flush()
    note(desk, one, 4, 1)
    one.flush()
    for window in (None, 3_600, 7 * DAY, 60 * DAY):
        found = read(desk, window)
        assert list(found) == ["risk_scan", "valuation"]
        durations = found["risk_scan"].durations
        assert (durations.count, durations.total) == (9, 13 * SECOND)
        assert (durations.least, durations.greatest) == (SECOND, 3 * SECOND)
        assert list(read(desk, window, "valuation")) == ["valuation"]
    assert read(desk, task="nobody") == {}


def test_batch_that_is_stored_already_is_not_added_again(desk: Desk) -> None:
    rows = rows_elsewhere("risk_scan", "success", desk.now, desk.now + SECOND)
    add = desk.store.performance.add
    assert add(rows, 1, merge_encoded) is True
    assert add(rows, 1, merge_encoded) is False
    assert read(desk)["risk_scan"].success == 1
    assert add(rows, 2, merge_encoded) is True
    assert add(rows, 0, merge_encoded) is True
    assert read(desk)["risk_scan"].success == 3


def test_window_leaves_out_what_ended_before_it(desk: Desk) -> None:
    recorder = Recorder("w1", desk.store.performance)
    for _ in range(10):
        note(desk, recorder, 1, 0)
        desk.advance(600)
    recorder.flush()
    assert read(desk)["risk_scan"].success == 10
    assert read(desk, 1_800)["risk_scan"].success == 3
    assert read(desk, 60) == {}


def test_prune_takes_old_buckets_and_keeps_the_sum_since_ever(desk: Desk) -> None:
    recorder = Recorder("w1", desk.store.performance)
    note(desk, recorder, 2, 0)
    recorder.flush()
    assert desk.store.performance.prune({w: desk.now - s * SECOND for w, s in KEPT.items()}) == 0
    for width, left in ((MINUTE, [HOUR, DAY]), (HOUR, [DAY]), (DAY, [])):
        desk.advance(KEPT[width])
        desk.advance(width)
        before = {w: desk.now - s * SECOND for w, s in KEPT.items()}
        # That of the task, and that of all tasks together.
        assert desk.store.performance.prune(before) == 2
        there = [w for w in (MINUTE, HOUR, DAY) if desk.store.performance.read(Span(w, 0, None))]
        assert there == left
    assert read(desk)["risk_scan"].success == 2


def test_workers_that_flush_at_once_lose_nothing(desk: Desk) -> None:
    tasks = [f"task-{n}" for n in range(30)]
    start, troubles = threading.Barrier(4), []

    def work(name: str) -> None:
        recorder = Recorder(name, desk.store.performance)
        start.wait()
        for turn in range(5):
            # In another order than the others.
            for task in tasks[turn * 7 :] + tasks[: turn * 7]:
                note(desk, recorder, 1, 1, task)
            try:
                recorder.flush()
            except Exception as problem:
                troubles.append(problem)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    for window in (None, 3_600, 40 * DAY):
        found = read(desk, window)
        assert {task: figures.success for task, figures in found.items()} == dict.fromkeys(
            tasks, 20
        )


def test_rows_read_depend_on_the_window_and_not_on_the_runs(desk: Desk) -> None:
    recorder = Recorder("w1", desk.store.performance)
    counts = []
    for runs in (10, 5_000):
        note(desk, recorder, runs, 1)
        recorder.flush()
        spans = [Span(width, 0, None) for width in (EVER, MINUTE, HOUR, DAY)]
        counts.append([len(desk.store.performance.read(span)) for span in spans])
    assert counts == [[1, 1, 1, 1]] * 2
    assert read(desk)["risk_scan"].success == 5_010


def test_load_says_what_stands_and_waits(desk: Desk) -> None:
    due = desk.now
    desk.submit(4, state="scheduled", due_at=due + 9 * SECOND)
    desk.submit(2, task="valuation", executor="thread")
    desk.advance(5)
    desk.submit(3, lane=None)
    [held] = desk.submit(1, task="held")
    desk.work()
    desk.submit(1, lane="slow", task="valuation", executor="thread")
    active = {(row.task, row.state, row.executor): row for row in desk.store.load.active()}
    assert held in desk.claimer.ids
    assert {key: row.runs for key, row in active.items()} == {
        ("risk_scan", "scheduled", "async"): 4,
        ("valuation", "pending", "thread"): active["valuation", "pending", "thread"].runs,
        ("risk_scan", "running", "async"): 3,
        ("held", "running", "async"): 1,
    }
    lanes = [row.runs for row in desk.store.load.active() if row.task == "valuation"]
    assert sorted(lanes) == [1, 2]
    assert active["risk_scan", "scheduled", "async"].oldest_due_at == due + 9 * SECOND


def test_load_counts_alerts_events_workers_and_schedules(desk: Desk) -> None:
    store = desk.store
    store.alerts.put("a1", "task_failure", "m", desk.now)
    store.alerts.put("a2", "task_failure", "another", desk.now)
    store.alerts.put("a3", "drawdown", "m", desk.now, severity="CRITICAL")
    assert store.load.alerts() == [("drawdown", "CRITICAL", 1), ("task_failure", "WARNING", 2)]
    store.events.record("e1", "tick", "{}", [], desk.now)
    desk.advance(10)
    store.events.record("e2", "tick", "{}", [], desk.now)
    assert store.load.events(desk.now - SECOND) == {"tick": 1}
    assert store.load.events(0) == {"tick": 2}
    store.workers.register("w1", "host", 1, {}, desk.now, desk.now + SECOND)
    assert store.load.workers() == {"alive": 1}
    assert store.load.schedules() == []
