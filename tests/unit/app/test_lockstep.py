"""Market data waits for what is due before it, and not for ever."""

from __future__ import annotations

from closingbell.core.call import Call
from closingbell.core.clock import SimulatedClock, from_micros
from closingbell.core.outcome import Returned
from closingbell.core.run import Claim
from closingbell.core.task import TaskDefinition
from closingbell.lockstep import Lockstep

NOW = 1_000_000


class Notes:
    """What has not ended, as a test says; counts how often it is asked."""

    def __init__(self) -> None:
        self.runs: dict[str, int] = {}
        self.queued: set[str] = set()
        self.firings: dict[str, int] = {}
        self.ranks: list[tuple[int, tuple[int, str, str]]] = []
        self.asked = 0

    def runs_until(self, until: int) -> list[tuple[str, int, bool]]:
        self.asked += 1
        return [
            (name, due, name not in self.queued) for name, due in self.runs.items() if due <= until
        ]

    def runs_at(self, instant: int) -> list[tuple[int, str, str]]:
        return [rank for at, rank in self.ranks if at == instant]

    def firings_until(self, until: int) -> list[tuple[str, str, int]]:
        return [(name, name, due) for name, due in self.firings.items() if due <= until]


class MachineClock(SimulatedClock):
    """The machine's seconds go by when a test says so."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def standing(patience_s: float = 5.0) -> tuple[Lockstep, Notes, MachineClock]:
    notes, clock = Notes(), MachineClock(from_micros(NOW))
    known = {"known", "other"}
    lockstep = Lockstep(notes, clock, known.__contains__, known.__contains__, patience_s)
    return lockstep, notes, clock


def test_nothing_left_lets_every_instant_until_now_pass() -> None:
    lockstep, notes, _ = standing()

    assert [lockstep.is_clear(at, inclusive=True) for at in (1, NOW - 1, NOW)] == [True] * 3
    assert notes.asked == 1


def test_run_holds_up_later_instants_and_the_openings_of_its_own() -> None:
    lockstep, notes, _ = standing()
    notes.runs["run"] = 500

    assert lockstep.is_clear(499, inclusive=True)
    assert lockstep.is_clear(500, inclusive=False)
    assert not lockstep.is_clear(500, inclusive=True)
    assert not lockstep.is_clear(501, inclusive=False)
    notes.runs.clear()
    assert lockstep.is_clear(501, inclusive=True)


def test_firing_of_a_known_task_holds_up_and_one_of_an_unknown_does_not() -> None:
    lockstep, notes, _ = standing()
    notes.firings["unknown"] = 500
    assert lockstep.is_clear(600, inclusive=True)
    lockstep.forget()
    notes.firings["known"] = 500
    assert not lockstep.is_clear(600, inclusive=False)


def test_run_that_facts_started_is_seen_after_forgetting() -> None:
    """What is known to be clear is not asked again, unless somebody says that it must."""
    lockstep, notes, _ = standing()
    assert lockstep.is_clear(600, inclusive=True)
    notes.runs["run"] = 500

    assert lockstep.is_clear(600, inclusive=True)
    lockstep.forget()
    assert not lockstep.is_clear(600, inclusive=True)


def test_sleeper_counts_from_when_it_wakes() -> None:
    lockstep, notes, clock = standing()
    notes.runs["run"] = 500
    lockstep.asleep("run", NOW + 700)

    assert lockstep.is_clear(NOW, inclusive=True)
    clock.advance(from_micros(NOW + 1_000))
    assert lockstep.is_clear(NOW + 700, inclusive=False)
    assert not lockstep.is_clear(NOW + 700, inclusive=True)
    # Its next attempt is due when the store says so.
    notes.runs["run"] = NOW + 900
    assert lockstep.is_clear(NOW + 900, inclusive=False)
    assert not lockstep.is_clear(NOW + 901, inclusive=False)


def test_run_that_takes_long_is_waited_for_once() -> None:
    lockstep, notes, clock = standing(patience_s=5.0)
    notes.runs.update(slow=500)
    answers = []
    for clock.seconds in (0.0, 4.9, 5.0, 5.1):
        answers.append(lockstep.is_clear(600, inclusive=True))
    assert answers == [False, False, False, True]

    # It holds up nothing later either; another run is waited for anew.
    assert lockstep.is_clear(800, inclusive=True)
    notes.runs["other"] = 900
    lockstep.forget()
    assert not lockstep.is_clear(950, inclusive=True)
    clock.seconds = 10.2
    assert not lockstep.is_clear(950, inclusive=True)


def test_run_that_nobody_runs_is_waited_for_longer_and_anew_once_it_runs() -> None:
    lockstep, notes, clock = standing(patience_s=5.0)
    notes.runs["run"] = 500
    notes.queued.add("run")
    answers = []
    for clock.seconds in (0.0, 5.0, 19.9):
        answers.append(lockstep.is_clear(600, inclusive=True))
    notes.queued.clear()
    for clock.seconds in (20.0, 24.9, 25.0, 25.1):
        answers.append(lockstep.is_clear(600, inclusive=True))

    assert answers == [False] * 6 + [True]


def test_run_that_holds_nothing_up_does_not_use_up_its_patience() -> None:
    lockstep, notes, clock = standing(patience_s=5.0)
    notes.runs["run"] = 500
    for clock.seconds in (0.0, 100.0):
        assert lockstep.is_clear(400, inclusive=True)

    assert not lockstep.is_clear(600, inclusive=True)


def _call(run: str, task: str, priority: int = 5) -> Call:
    claim = Claim(run, 1, task, "{}", 1, 1, 9.0, NOW, NOW, None, None, "thread", 0, None, NOW)
    definition = TaskDefinition(name=task, handler=print, priority=priority)
    return Call(claim, definition, lambda _: None, lambda *_: Returned(None), lambda *_: None)


def test_turns_of_one_instant_go_by_priority_task_and_id() -> None:
    lockstep, notes, _ = standing()
    ranks = [(1, "other", "d"), (5, "known", "b"), (5, "known", "c"), (5, "other", "a")]
    notes.ranks = [*((500, rank) for rank in ranks), (501, (1, "known", "later"))]
    notes.ranks.append((500, (1, "reader", "e")))

    assert lockstep.before(_call("d", "other"), 500) == set()
    assert lockstep.before(_call("c", "known"), 500) == {"run d", "run b"}
    assert lockstep.before(_call("a", "other"), 500) == {"run d", "run b", "run c"}
    # A run that was submitted with another priority than its task's, or that woke at the instant.
    assert lockstep.before(_call("d", "other", priority=9), 500) == set()
    assert lockstep.before(_call("woken", "known", priority=2), 500) == {"run d"}
    # What fires at the instant may come before it, and is not there yet.
    notes.firings.update(known=500, other=501, reader=400)
    assert lockstep.before(_call("d", "other"), 500) == {"schedule known"}


def test_turn_is_not_kept_for_sleepers_and_those_that_take_long() -> None:
    lockstep, notes, _ = standing()
    notes.ranks = [(500, (1, "known", name)) for name in ("a", "b", "c")]
    lockstep.asleep("a", 600)
    lockstep.give_up({"run b"})

    assert lockstep.before(_call("d", "known"), 500) == {"run c"}
