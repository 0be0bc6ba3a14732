"""How a failed attempt is followed by another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from closingbell.core.error import PolicyError


def counted(attempts: int) -> str:
    """Return a number of attempts in words, such as "1 attempt"."""
    return f"{attempts} attempt" + ("" if attempts == 1 else "s")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with a cap and full jitter.

    Attributes:
        retries: how many attempts may follow the first; 0 means one attempt.
        initial_delay: the bound of the wait after the first failure.
        backoff_factor: by how much the bound grows with each failure.
        max_delay: the bound never grows past it.
        jitter: draw the wait uniformly below the bound (True) or wait the bound itself.
        give_up_on: names of exception types (or of their bases) that are not retried.
    """

    retries: int = 3
    initial_delay: timedelta = timedelta(seconds=1)
    backoff_factor: float = 2.0
    max_delay: timedelta = timedelta(minutes=10)
    jitter: bool = True
    give_up_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        retries: object = self.retries
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise PolicyError("retries", retries, "a whole number, 0 or more")
        if not self.backoff_factor >= 1.0:
            raise PolicyError("backoff_factor", self.backoff_factor, "a number, 1 or more")
        if self.initial_delay < timedelta():
            raise PolicyError("initial_delay", self.initial_delay, "a duration, 0 or more")
        if self.max_delay < timedelta():
            raise PolicyError("max_delay", self.max_delay, "a duration, 0 or more")

    def bound(self, attempt: int) -> timedelta:
        """Return the longest wait after attempt number `attempt` failed.

        min(max_delay, initial_delay * backoff_factor ** (attempt - 1)); never overflows.
        """
        if attempt < 1:
            raise PolicyError("attempt", attempt, "a number from 1")
        cap = self.max_delay.total_seconds()
        seconds = self.initial_delay.total_seconds()
        for _ in range(attempt - 1):
            if seconds >= cap or seconds == 0.0 or self.backoff_factor == 1.0:
                break
            seconds *= self.backoff_factor
        return timedelta(seconds=min(seconds, cap))

    def next_delay(self, attempt: int, rng: Random) -> timedelta:
        """Draw the wait before the attempt after `attempt`.

        With jitter, uniform over [0, bound(attempt)], at microsecond resolution.

        Args:
            attempt: the number of the attempt that just failed, from 1.
            rng: the source of chance; seeded in tests and backtests.

        Source: exponential backoff with full jitter, AWS Architecture Blog (2015).
        """
        bound = self.bound(attempt)
        return bound * rng.random() if self.jitter else bound

    def retries_error(self, error: dict[str, Any]) -> bool:
        """Whether an error of this kind is worth another attempt."""
        if not self.give_up_on:
            return True
        names = {error.get("type"), *error.get("bases", ())}
        return names.isdisjoint(self.give_up_on)
