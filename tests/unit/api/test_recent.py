"""Recent answers: worked out once for all who ask at a time, again a moment later."""

from __future__ import annotations

import threading

import pytest

from closingbell.api.recent import _MOST, KEPT_S, RecentAnswers


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_answer_is_given_again_for_a_moment_and_by_question() -> None:
    clock, asked = _Clock(), []
    answers = RecentAnswers(clock)  # type: ignore[arg-type]

    def work_out() -> int:
        asked.append(1)
        return len(asked)

    assert [answers.get("a", work_out) for _ in range(3)] == [1, 1, 1]
    assert answers.get("b", work_out) == 2
    clock.now += KEPT_S
    assert answers.get("a", work_out) == 3


def test_failure_is_not_kept() -> None:
    answers = RecentAnswers(_Clock())  # type: ignore[arg-type]

    def fail() -> int:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        answers.get("a", fail)
    assert answers.get("a", lambda: 1) == 1


def test_many_who_ask_at_once_are_answered_by_one_look() -> None:
    answers, looks = RecentAnswers(_Clock()), []  # type: ignore[arg-type]
    start, go_on = threading.Barrier(5), threading.Event()
    found: list[int] = []

    def work_out() -> int:
        looks.append(1)
        go_on.wait(10)
        return 7

    def ask() -> None:
        start.wait()
        found.append(answers.get("a", work_out))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (len(looks), found) == (1, [7, 7, 7, 7])


def test_questions_that_nobody_asks_any_more_are_forgotten() -> None:
    answers = RecentAnswers(_Clock())  # type: ignore[arg-type]
    for number in range(_MOST + 50):
        answers.get(number, lambda: 1)
    assert len(answers._kept) == _MOST
