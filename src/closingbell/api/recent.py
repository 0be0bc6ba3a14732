"""Recent answers: what many ask for at once is worked out once, and kept for a moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from fastapi import Request

from closingbell.core.clock import Clock

_Answer = TypeVar("_Answer")

#: For so long an answer is given again, in machine seconds. What it says lags by more anyway.
KEPT_S = 2.0
_MOST = 256


class RecentAnswers:
    """Answers by question, each worked out by one thread while the others wait for it."""

    def __init__(self, clock: Clock) -> None:
        """Make it; `clock` tells the machine's time."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[threading.Lock, list[tuple[float, Any]]]] = (
            OrderedDict()
        )

    def get(self, question: Hashable, work_out: Callable[[], _Answer]) -> _Answer:
        """Return an answer that is at most `KEPT_S` old; what fails is not kept."""
        with self._lock:
            turn, kept = self._kept.setdefault(question, (threading.Lock(), []))
            self._kept.move_to_end(question)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        with turn:
            now = self._clock.monotonic()
            if not kept or now - kept[0][0] >= KEPT_S:
                kept[:] = [(now, work_out())]
            answer: _Answer = kept[0][1]
            return answer


def recent_answers(request: Request) -> RecentAnswers:
    """Return those of the app that a request is about; a dependency of routes."""
    state = request.app.state
    if not hasattr(state, "recent_answers"):
        state.recent_answers = RecentAnswers(state.app.clock)
    kept: RecentAnswers = state.recent_answers
    return kept
