"""TaskDefinition: what can be run, with everything the engine needs to know."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from closingbell.core.approval import HOLD
from closingbell.core.condition import Condition
from closingbell.core.error import TaskDefinitionError
from closingbell.core.limit import Bucket, Lane, Rate
from closingbell.core.retry import RetryPolicy
from closingbell.core.schedule import SchedulePolicy
from closingbell.core.trigger import Trigger

#: The executors that a task may name.
EXECUTORS = ("async", "thread", "process")
HIGHEST_PRIORITY, DEFAULT_PRIORITY, LOWEST_PRIORITY = 1, 5, 9


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskDefinition:
    """A registered task.

    Attributes:
        name: unique in its app.
        handler: what is called; a Task's bound `run`, or a function.
        description: one line for people.
        timeout_s: an attempt that runs longer, in seconds, is stopped.
        retry: how failures are retried.
        priority: 1 runs first, 9 last.
        executor: "async", "thread" or "process".
        import_path: "module:qualified.name" of the handler, for other processes; None when
            it has none.
        trigger: when the task runs by itself; None = on demand.
        on_event: event types that start it.
        where: a condition on the event's data.
        after: names of tasks whose success starts it.
        within: how fresh those successes must be.
        max_concurrent: at most so many at once, per `key` when one is given.
        rate: at most so many starts in a while.
        key: a template such as "{account}" over the payload, for limits per key.
        cpu: cores that one run needs; memory: bytes that one run needs.
        payload: default payload of scheduled runs.
        retention: finished runs older than this are pruned; None = the app's setting.
        account: the account that its algorithm trades.
        once_per_breach: whether its sale of one percentage of a symbol acts once in a drawdown.
        approval: "two-person" when its runs wait until two persons agree, else None.
        masked: dotted names of payload fields that nothing shows.
    """

    name: str
    handler: Callable[..., Any]
    description: str = ""
    timeout_s: float = 300.0
    retry: RetryPolicy = RetryPolicy()
    priority: int = DEFAULT_PRIORITY
    tags: list[str] = field(default_factory=list)
    executor: str = "thread"
    import_path: str | None = None
    trigger: Trigger | None = None
    policy: SchedulePolicy = SchedulePolicy()
    on_event: tuple[str, ...] = ()
    where: Condition | None = None
    after: tuple[str, ...] = ()
    within: timedelta = timedelta(hours=24)
    max_concurrent: int | None = None
    rate: Rate | None = None
    key: str | None = None
    cpu: float = 0.0
    memory: int = 0
    payload: Mapping[str, Any] = field(default_factory=dict)
    retention: timedelta | None = None
    account: str = "main"
    once_per_breach: bool = False
    approval: str | None = None
    masked: tuple[str, ...] = ()

    @property
    def hold(self) -> str | None:
        """What keeps a new run of it from being claimed, or None."""
        return None if self.approval is None else HOLD

    @property
    def timeout(self) -> float:
        """The timeout in seconds, a whole number where it is one."""
        return int(self.timeout_s) if self.timeout_s.is_integer() else self.timeout_s

    @property
    def retry_count(self) -> int:
        """How many attempts may follow the first."""
        return self.retry.retries

    @property
    def max_attempts(self) -> int:
        """How many attempts a run has."""
        return self.retry.retries + 1

    def lane(self, payload: Mapping[str, Any], schedule_gate: str | None = None) -> str | None:
        """Return the lane of a run with this payload, or None when it is unlimited.

        Args:
            payload: the run's payload, which the key template reads.
            schedule_gate: a schedule whose runs go one after the other.

        Raises:
            TaskDefinitionError: the payload lacks a field that the key template names.
        """
        if (
            self.max_concurrent is None
            and self.rate is None
            and not self.cpu
            and not self.memory
            and schedule_gate is None
        ):
            return None
        name = self.name
        if self.key is not None:
            try:
                name = f"{name}/{string.Formatter().vformat(self.key, (), payload)}"
            except (KeyError, IndexError, AttributeError, ValueError) as problem:
                raise TaskDefinitionError(
                    self.name, f"key={self.key!r} cannot be read from the payload: {problem!r}"
                ) from problem
        gates: list[tuple[str, int]] = []
        if self.max_concurrent is not None:
            gates.append((f"task:{name}", self.max_concurrent))
        if schedule_gate is not None:
            gates.append((f"schedule:{schedule_gate}", 1))
        bucket = None
        if self.rate is not None:
            bucket = Bucket(
                self.rate.bucket or f"task:{name}",
                self.rate.limit,
                self.rate.per // timedelta(microseconds=1),
                self.rate.weight,
            )
        return Lane(tuple(gates), bucket, self.cpu, self.memory).encode()
