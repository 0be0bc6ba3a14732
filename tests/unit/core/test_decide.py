"""`decide`: from an outcome to the one write that settles the claim."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import TriggerError
from closingbell.core.outcome import (
    Cancelled,
    DecisionFacts,
    GivenBack,
    Lost,
    Outcome,
    Raised,
    Returned,
    Skipped,
    Snooze,
    Snoozed,
    TimedOut,
    decide,
)
from closingbell.core.retry import RetryPolicy
from closingbell.core.run import FINAL_STATES, TRANSITIONS, Claim, RunState, Settlement

NOW = 1_000_000_000
ERROR: dict[str, Any] = {"code": "raised", "type": "ValueError", "message": "x", "bases": []}


def claim(**changes: Any) -> Claim:
    whole = Claim(
        id="r", fence=7, task="t", payload="{}", attempt=1, max_attempts=4, timeout_s=1.0,
        due_at=NOW - 5, fire_at=None, session_date=None, schedule_id=None, executor="thread",
        lost_count=0, cancel_reason=None, started_at=NOW - 3,
    )  # fmt: skip
    return whole._replace(**changes)


def decided(
    outcome: Outcome,
    *,
    policy: RetryPolicy = RetryPolicy(),
    cancel_reason: str | None = None,
    poison_after: int = 3,
    **changes: Any,
) -> Settlement:
    facts = DecisionFacts(NOW, json.dumps, poison_after, cancel_reason)
    return decide(claim(**changes), outcome, policy, facts, Random(1))


def test_decide_returned_is_success_even_when_cancellation_came_too_late() -> None:
    settled = decided(Returned("42"), cancel_reason="late")

    assert (settled.state, settled.result, settled.attempt) == ("success", "42", 1)


@pytest.mark.parametrize("outcome", [Raised(ERROR), TimedOut(ERROR, True), Lost(ERROR)])
def test_decide_failure_with_attempts_left_waits_for_a_retry(outcome: Outcome) -> None:
    settled = decided(outcome, policy=RetryPolicy(jitter=False))

    assert (settled.state, settled.due_at) == ("scheduled", NOW + 1_000_000)
    assert settled.ledger is True
    assert settled.attempt == 1
    assert settled.error is not None


@pytest.mark.parametrize(
    ("outcome", "name"),
    [(Raised(ERROR), "raised"), (TimedOut(ERROR, False), "timed_out"), (Lost(ERROR), "lost")],
)
def test_decide_failure_of_the_last_attempt_fails_the_run(outcome: Outcome, name: str) -> None:
    settled = decided(outcome, attempt=4)

    assert (settled.state, settled.outcome, settled.due_at) == ("failed", name, None)


def test_decide_failure_after_a_cancellation_was_asked_for_is_cancelled() -> None:
    settled = decided(Raised(ERROR), cancel_reason="enough")

    assert (settled.state, settled.reason, settled.due_at) == ("cancelled", "enough", None)


def test_decide_error_that_is_not_worth_a_retry_fails_at_once() -> None:
    policy = RetryPolicy(give_up_on=("LookupError",))
    hopeless = {**ERROR, "type": "KeyError", "bases": ["LookupError", "Exception"]}

    assert decided(Raised(hopeless), policy=policy).state == "failed"
    assert decided(Raised(ERROR), policy=policy).state == "scheduled"
    # A lost worker says nothing about the error of the task.
    assert decided(Lost(hopeless), policy=policy).state == "scheduled"


@pytest.mark.parametrize(
    ("lost_before", "state"), [(0, "scheduled"), (1, "scheduled"), (2, "failed")]
)
def test_decide_run_that_lost_too_many_workers_is_parked(lost_before: int, state: str) -> None:
    settled = decided(Lost(ERROR), lost_count=lost_before, max_attempts=100)

    assert (settled.state, settled.lost) == (state, 1)
    assert (settled.reason is not None) == (state == "failed")


@pytest.mark.parametrize("outcome", [Snoozed(2.5, "no file"), GivenBack("the worker stops")])
def test_decide_snooze_and_give_back_restore_the_attempt(outcome: Outcome) -> None:
    settled = decided(outcome, attempt=3)

    assert settled.attempt == 2
    assert settled.ledger is True
    due = NOW + 2_500_000 if isinstance(outcome, Snoozed) else NOW - 5
    assert settled.due_at == due


@pytest.mark.parametrize("outcome", [Snoozed(1.0, "later"), GivenBack("stops")])
def test_decide_run_to_be_cancelled_starts_no_other_attempt(outcome: Outcome) -> None:
    settled = decided(outcome, cancel_reason="enough")

    assert (settled.state, settled.reason, settled.due_at) == ("cancelled", "enough", None)


outcomes = st.one_of(
    st.builds(Returned, st.none() | st.just("1")),
    st.builds(Raised, st.just(ERROR)),
    st.builds(TimedOut, st.just(ERROR), st.booleans()),
    st.builds(Lost, st.just(ERROR)),
    st.builds(Cancelled, st.just("r")),
    st.builds(Skipped, st.just("r")),
    st.builds(Snoozed, st.floats(0, 1e6), st.just("r")),
    st.builds(GivenBack, st.just("r")),
)


@given(
    outcome=outcomes,
    attempt=st.integers(1, 50),
    more=st.integers(0, 50),
    lost=st.integers(0, 5),
    cancel=st.none() | st.just("enough"),
)
def test_decide_always_carries_the_fence_and_takes_an_allowed_step(
    outcome: Outcome, attempt: int, more: int, lost: int, cancel: str | None
) -> None:
    settled = decided(
        outcome, attempt=attempt, max_attempts=attempt + more, lost_count=lost, cancel_reason=cancel
    )
    state = RunState(settled.state)

    assert (settled.id, settled.fence) == ("r", 7)
    assert state in TRANSITIONS[RunState.RUNNING]
    assert (settled.due_at is None) == (state in FINAL_STATES)
    assert settled.attempt in (attempt, attempt - 1)
    # What goes on has its attempt kept, what is asked to end never goes on.
    assert settled.ledger == (state not in FINAL_STATES)
    assert cancel is None or state in FINAL_STATES


@given(max_attempts=st.integers(1, 30))
def test_decide_failures_end_after_exactly_the_attempts_that_are_allowed(max_attempts: int) -> None:
    attempt = 1
    while decided(Raised(ERROR), attempt=attempt, max_attempts=max_attempts).state == "scheduled":
        attempt += 1

    assert attempt == max_attempts


def test_transitions_name_every_state_and_no_final_state_runs_by_itself() -> None:
    assert set(TRANSITIONS) == set(RunState)
    for state, following in TRANSITIONS.items():
        assert state not in following
        if state.is_final:
            assert following <= {RunState.PENDING, RunState.SCHEDULED}
    assert all(RunState.RUNNING not in TRANSITIONS[s] for s in RunState if s != RunState.PENDING)


@pytest.mark.parametrize("delay", [-1, "soon", True, timedelta(-1)])
def test_snooze_with_an_impossible_delay_is_refused(delay: Any) -> None:
    with pytest.raises(TriggerError):
        Snooze(delay)
