"""One attempt: from a claim to the settlement that ends it.

resolve -> bind -> execute (in an executor) -> outcome -> decide -> settle
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.outcome import DecisionFacts, Outcome, decide
from closingbell.core.retry import RetryPolicy, counted
from closingbell.core.run import AlertNote, Claim, Settlement
from closingbell.core.task import TaskDefinition

#: What an executor needs to run a task's attempts: (invoke, encode).
Runner = tuple[Callable[[Call], Any], Callable[[Call, Any], Outcome]]


class Attempts:
    """Makes calls of claims, and settlements of outcomes."""

    def __init__(
        self,
        *,
        clock: Clock,
        resolve: Callable[[str], TaskDefinition | None],
        runner: Callable[[TaskDefinition], Runner],
        error_json: Callable[[Any], str],
        take_logs: Callable[[Call], tuple[tuple[str, str], ...]],
        rng: Random,
        poison_after: int,
        long_execution_s: float,
        leave: Callable[[Call, Settlement], None] | None = None,
    ) -> None:
        """Make the pipeline.

        Args:
            clock: the desk's time.
            resolve: returns a task's definition, or None when this worker does not know it.
            runner: returns how to invoke a task and how to read what it returned.
            error_json: writes an error as JSON text.
            take_logs: returns and clears what an attempt has printed.
            rng: chance, for the jitter of retries.
            poison_after: a run that lost so many workers is parked as failed.
            long_execution_s: an attempt that took longer raises an alert.
            leave: told how an attempt ended that a tracer follows.
        """
        self._clock = clock
        self._resolve = resolve
        self._runner = runner
        self._error_json = error_json
        self._take_logs = take_logs
        self._leave = leave
        self._rng = rng
        self._poison_after = poison_after
        self._long_execution = long_execution_s * 1_000_000
        self._runners: dict[TaskDefinition, Runner] = {}
        #: Policies set at run time, by task; replaced whole.
        self.policies: dict[str, RetryPolicy] = {}

    def call(self, claim: Claim, done: Callable[[Call, Outcome], None]) -> Call | None:
        """Return the call of a claim, or None when the task is unknown here."""
        task = self._resolve(claim.task)
        if task is None:
            return None
        runner = self._runners.get(task)
        if runner is None:
            runner = self._runners[task] = self._runner(task)
        return Call(claim, task, runner[0], runner[1], done)

    def settle(self, call: Call, outcome: Outcome, cancel_reason: str | None) -> Settlement:
        """Return the settlement of a call that ended."""
        logs = self._take_logs(call) if call.logs else ()
        ran_s = None
        if call.deadline:
            ran_s = self._clock.monotonic() - call.deadline + call.claim.timeout_s
        settlement = self.settle_claim(call.claim, call.task, outcome, cancel_reason, logs, ran_s)
        if call.span is not None and self._leave is not None:
            self._leave(call, settlement)
        return settlement

    def settle_claim(
        self,
        claim: Claim,
        task: TaskDefinition | None,
        outcome: Outcome,
        cancel_reason: str | None,
        logs: tuple[tuple[str, str], ...] = (),
        ran_s: float | None = None,
    ) -> Settlement:
        """Return the settlement of a claim.

        Args:
            claim: the held run.
            task: its definition, or None when it is unknown here.
            outcome: what the attempt did.
            cancel_reason: why its end was asked for, or None.
            logs: what it printed.
            ran_s: how many machine seconds its code ran, if that is known.
        """
        now = self._clock.micros()
        started_at = None
        if ran_s is not None and self._clock.speed:
            # Never before the claim, nor before the instant that the run was due. On a clock
            # that stands still nothing but the claim says when.
            ran_us = round(ran_s * 1_000_000 * self._clock.speed)
            started_at = max(now - ran_us, claim.started_at)
        policy = self.policies.get(claim.task) if self.policies else None
        if policy is not None:
            claim = claim._replace(max_attempts=policy.retries + 1)
            if task is not None and task.retry.give_up_on:
                # How often and how soon was set at run time; what is hopeless is the task's word.
                policy = replace(policy, give_up_on=task.retry.give_up_on)
        elif task is not None:
            policy = task.retry
        settlement = decide(
            claim,
            outcome,
            policy or RetryPolicy(),
            DecisionFacts(now, self._error_json, self._poison_after, cancel_reason, started_at),
            self._rng,
            logs,
        )
        if started_at is not None and settlement.started_at is None:
            settlement = settlement._replace(started_at=started_at)
        if settlement.state == "failed" or now - claim.started_at > self._long_execution:
            return settlement._replace(alert=self._alert(claim, settlement, now))
        return settlement

    def _alert(self, claim: Claim, settlement: Settlement, now: int) -> AlertNote | None:
        seconds = (now - claim.started_at) / 1_000_000
        if settlement.state == "failed":
            poison = settlement.lost and claim.lost_count + 1 >= self._poison_after
            return AlertNote(
                "poison_run" if poison else "task_failure",
                f"task {claim.task!r} failed after {counted(settlement.attempt)}"
                + (f": {settlement.reason}" if settlement.reason else ""),
                settlement.error or "{}",
                "CRITICAL" if poison else "ERROR",
            )
        if settlement.state != "success":
            return None
        return AlertNote(
            "long_execution",
            f"task {claim.task!r} took {seconds:.1f} s",
            self._error_json({"execution_time": seconds}),
        )
