"""When a request may be sent again, decided purely."""

from __future__ import annotations

from typing import NamedTuple

_FIRST_S, _LONGEST_S = 0.1, 5.0
_TRIES_IN_PROGRESS = 6
#: Answers after which the same request may succeed a moment later.
_PASSING = frozenset({429, 502, 503, 504})


class Trial(NamedTuple):
    """One try of a request, and what came of it.

    Attributes:
        number: from 1.
        repeatable: whether sending it twice does no more than sending it once.
        status: of the answer; None = there was none.
        reached: whether the service may have received it.
        in_progress: the answer says that the same request is still at work (409 to a key).
        retry_after_s: what the answer asked for, in seconds.
    """

    number: int
    repeatable: bool
    status: int | None
    reached: bool = True
    in_progress: bool = False
    retry_after_s: float | None = None


def wait_before_retry(trial: Trial, most: int, chance: float) -> float | None:
    """Return how long to wait before the next try, in seconds, or None to give up.

    A request that was never sent may always be sent again; one that may have been received
    only when it is repeatable: reading, or an act with an idempotency key.

    Args:
        trial: the one that failed.
        most: how many tries there are in all.
        chance: between 0 and 1, so that many clients do not come back at the same instant.
    """
    passing = trial.status is None or trial.status in _PASSING or trial.in_progress
    refused_at_the_door = trial.status == 429
    may_repeat = trial.repeatable or not trial.reached or refused_at_the_door
    # A service that died over a request holds its key for a minute; the answer is worth the wait.
    tries = most * _TRIES_IN_PROGRESS if trial.in_progress else most
    if trial.number >= tries or not passing or not may_repeat:
        return None
    backoff = min(_FIRST_S * 2.0 ** (trial.number - 1), _LONGEST_S) * (0.5 + chance / 2)
    return max(backoff, trial.retry_after_s or 0.0)
