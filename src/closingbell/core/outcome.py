"""What the code did, and what we then do.

`decide` is the heart of the engine: a pure function from a claim, the outcome
of its attempt, the retry policy and the time to the one write that settles it.

    outcome      next state                        attempt counts?
    Returned     success                           yes
    Raised       scheduled (retry) or failed       yes
    TimedOut     scheduled (retry) or failed       yes
    Lost         scheduled (retry) or failed       yes; parked after `poison_after` losses
    Cancelled    cancelled                         yes
    Skipped      skipped                           yes
    Snoozed      scheduled                         no: the number is restored
    GivenBack    pending                           no: the number is restored

A run whose cancellation was asked for never starts another attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

from closingbell.core.duration import parse_duration
from closingbell.core.retry import RetryPolicy
from closingbell.core.run import Claim, Settlement

# --- what a handler may return to steer its run ------------------------------------


@dataclass(frozen=True, slots=True)
class Skip:
    """Return it from a task: there was nothing to do; the run ends as skipped."""

    reason: str = "nothing to do"


@dataclass(frozen=True, slots=True, init=False)
class Snooze:
    """Return it from a task: run again after `delay`, without counting this attempt."""

    delay: timedelta
    reason: str

    def __init__(self, delay: float | str | timedelta, reason: str = "snoozed") -> None:
        object.__setattr__(self, "delay", parse_duration(delay, kind="snooze delay"))
        object.__setattr__(self, "reason", reason)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Return it from a task: give up now, without retries; the run ends as cancelled."""

    reason: str = "cancelled by the task"


# --- what an attempt did -------------------------------------------------------------


class Returned(NamedTuple):
    """The handler returned; `result` is JSON text or None."""

    result: str | None


class Raised(NamedTuple):
    """The handler raised; `error` has `code`, `type`, `message`, `traceback`, `bases`."""

    error: dict[str, Any]


class TimedOut(NamedTuple):
    """The attempt ran too long; `stopped` is False for a thread, which runs on."""

    error: dict[str, Any]
    stopped: bool


class Lost(NamedTuple):
    """The worker or the child process that ran the attempt is gone."""

    error: dict[str, Any]


class Cancelled(NamedTuple):
    """A person or the task itself asked for the end."""

    reason: str


class Skipped(NamedTuple):
    """The task had nothing to do."""

    reason: str


class Snoozed(NamedTuple):
    """The task asked to be run again later."""

    delay_s: float
    reason: str


class GivenBack(NamedTuple):
    """The worker stops, or cannot run it: untouched, for another worker."""

    reason: str


Outcome = Returned | Raised | TimedOut | Lost | Cancelled | Skipped | Snoozed | GivenBack


class DecisionFacts(NamedTuple):
    """What `decide` needs beside the claim.

    Attributes:
        now: microseconds, on the desk's clock.
        error_json: encoder for errors, so that this module needs no JSON library.
        poison_after: after so many lost workers a run is parked as failed.
        cancel_reason: set when a cancellation was asked for meanwhile.
        started_at: when the code really started, if that is known.
    """

    now: int
    error_json: Any
    poison_after: int = 3
    cancel_reason: str | None = None
    started_at: int | None = None


def decide(
    claim: Claim,
    outcome: Outcome,
    policy: RetryPolicy,
    facts: DecisionFacts,
    rng: Random,
    logs: tuple[tuple[str, str], ...] = (),
) -> Settlement:
    """Return the write that settles `claim`.

    Args:
        claim: the held run; `claim.attempt` is the attempt that just ended, from 1.
        outcome: what the attempt did.
        policy: how this task retries.
        facts: the time, and what happened meanwhile.
        rng: the source of jitter.
        logs: captured output to store with the attempt.
    """
    run, fence, now = claim.id, claim.fence, facts.now
    match outcome:
        case Returned(result):
            return Settlement(
                run, fence, "success", "returned", claim.attempt, now, result=result, logs=logs,
                started_at=facts.started_at,
            )  # fmt: skip
        case Cancelled(reason):
            return Settlement(
                run, fence, "cancelled", "cancelled", claim.attempt, now, reason=reason, logs=logs
            )
        case Skipped(reason):
            return Settlement(
                run, fence, "skipped", "skipped", claim.attempt, now, reason=reason, logs=logs
            )
        case Snoozed(delay_s, reason):
            if facts.cancel_reason is not None:
                return Settlement(
                    run, fence, "cancelled", "snoozed", claim.attempt, now,
                    reason=facts.cancel_reason, logs=logs,
                )  # fmt: skip
            return Settlement(
                run, fence, "scheduled", "snoozed", claim.attempt - 1, now,
                due_at=now + round(delay_s * 1_000_000), reason=reason, ledger=True, logs=logs,
            )  # fmt: skip
        case GivenBack(reason):
            if facts.cancel_reason is not None:
                return Settlement(
                    run, fence, "cancelled", "given_back", claim.attempt - 1, now,
                    reason=facts.cancel_reason, logs=logs,
                )  # fmt: skip
            return Settlement(
                run, fence, "pending", "given_back", claim.attempt - 1, now,
                due_at=claim.due_at, reason=reason, ledger=True, logs=logs,
            )  # fmt: skip
        case Raised() | TimedOut() | Lost():
            return _after_failure(claim, outcome, policy, facts, rng, logs)


def _after_failure(
    claim: Claim,
    outcome: Raised | TimedOut | Lost,
    policy: RetryPolicy,
    facts: DecisionFacts,
    rng: Random,
    logs: tuple[tuple[str, str], ...],
) -> Settlement:
    lost = 1 if isinstance(outcome, Lost) else 0
    name = "lost" if lost else "timed_out" if isinstance(outcome, TimedOut) else "raised"
    error = outcome.error
    text: str = facts.error_json(error)
    ending: tuple[str, str | None] | None = None
    if facts.cancel_reason is not None:
        ending = ("cancelled", facts.cancel_reason)
    elif lost and claim.lost_count + 1 >= facts.poison_after:
        ending = ("failed", f"parked: it lost its worker {claim.lost_count + 1} times")
    elif isinstance(outcome, Raised) and not policy.retries_error(error):
        ending = ("failed", f"not retried: {error.get('type')} is not retryable for this task")
    elif claim.attempt >= claim.max_attempts:
        ending = ("failed", None)
    if ending is not None:
        return Settlement(
            claim.id, claim.fence, ending[0], name, claim.attempt, facts.now,
            error=text, reason=ending[1], lost=lost, logs=logs,
        )  # fmt: skip
    delay = policy.next_delay(claim.attempt, rng)
    return Settlement(
        claim.id, claim.fence, "scheduled", name, claim.attempt, facts.now,
        due_at=facts.now + delay // timedelta(microseconds=1), error=text,
        ledger=True, lost=lost, logs=logs,
    )  # fmt: skip
