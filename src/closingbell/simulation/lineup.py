"""TaskState: a task that takes part in a simulation, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from closingbell.core.call import Call
from closingbell.core.clock import from_micros
from closingbell.core.outcome import Outcome
from closingbell.core.task import TaskDefinition
from closingbell.engine.attempt import Attempts
from closingbell.executor.binding import Binding
from closingbell.executor.result import outcome_of
from closingbell.scheduler.dependency import Success
from closingbell.simulation.result import TaskCount

if TYPE_CHECKING:
    from closingbell.simulation.attempt import Attempt
    from closingbell.simulation.stage import Stage
    from closingbell.simulation.timetable import Timetable

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def _json(value: Any) -> str:
    return _encode(value).decode()


class TaskState:
    """A task and how it stands.

    Attributes:
        stage: where its attempts are performed.
        prefix: the first half of its run ids.
        number: how many runs it has had.
        invoke, encode: how an attempt calls it, and reads what it returned.
        attempts: decides what follows an attempt, as live.
        plain_successes: first attempts that succeeded at once; they are not in `count` yet.
        machine_s: machine seconds that its code took.
        timetables: its schedules.
        dependents: tasks whose `after=` names it, by name, with when each fired last.
        last_run_at, last_status, last_error, last_success, last_success_id: as `get_task_status`
            tells them; times in microseconds.
        latest: the instant, run id and result of a plain success that they do not show yet.
        last_result: JSON text of what the latest success returned, or None.
    """

    def __init__(
        self,
        definition: TaskDefinition,
        stage: Stage,
        *,
        seed: int,
        prefix: str,
        algorithm: Callable[[Call], Any],
        poison_after: int,
        long_execution_s: float,
    ) -> None:
        self.definition = definition
        self.name = definition.name
        self.priority = definition.priority
        self.stage = stage
        self.prefix = prefix
        self.number = 0
        self.executor = definition.executor
        self.in_process = definition.executor == "process"
        self.max_attempts = definition.max_attempts
        self.timeout_s = definition.timeout_s
        self.count = TaskCount()
        self.plain_successes = 0
        self.machine_s = 0.0
        self.timetables: list[Timetable] = []
        self.dependents: dict[str, Dependent] = {}
        self.latest: tuple[int, str, str | None] | None = None
        self.last_run_at: int | None = None
        self.last_status: str | None = None
        self.last_error: str | None = None
        self.last_success: int | None = None
        self.last_success_id = ""
        self.last_result: str | None = None
        self.invoke = self._invoker(Binding(self.name, definition.handler), algorithm)
        self.attempts = Attempts(
            clock=stage.clock,
            resolve=lambda _name: definition,
            runner=lambda _task: (self.invoke, self.encode),
            error_json=_json,
            take_logs=lambda _call: (),
            # A source of its own for each task, so that no task's retries move another's.
            rng=Random(f"{seed}/{self.name}"),  # noqa: S311
            poison_after=poison_after,
            long_execution_s=long_execution_s,
        )

    def _invoker(self, binding: Binding, algorithm: Callable[[Call], Any]) -> Callable[[Call], Any]:
        handler = self.definition.handler
        if not binding.needs_algorithm:

            def invoke(call: Call) -> Any:
                args, kwargs = binding.arguments(_decode(call.claim.payload), call, None)
                return handler(*args, **kwargs)

            return invoke

        def invoke_trading(call: Attempt) -> Any:
            call.algorithm = given = algorithm(call)
            args, kwargs = binding.arguments(_decode(call.claim.payload), call, given)
            return handler(*args, **kwargs)

        return invoke_trading  # type: ignore[return-value]

    def encode(self, _call: Call, value: Any) -> Outcome:
        """Return the outcome of a handler that returned."""
        return outcome_of(self.name, value)

    def next_id(self) -> str:
        """Count one more run, and return its id; `number` is its number."""
        self.number += 1
        return self.prefix + self.number.to_bytes(8, "big").hex()

    def catch_up(self) -> None:
        """Let the latest plain success be seen in the other attributes."""
        if self.latest is not None:
            at, self.last_success_id, self.last_result = self.latest
            self.last_run_at = self.last_success = at
            self.last_status, self.last_error = "success", None
            self.latest = None

    @property
    def success(self) -> Success | None:
        """The latest success."""
        self.catch_up()
        if self.last_success is None:
            return None
        return Success(self.last_success_id, from_micros(self.last_success))

    @property
    def next_run_at(self) -> int | None:
        """When its next firing is, or None."""
        return min((t.next_at for t in self.timetables if t.next_at is not None), default=None)


class Dependent:
    """A task that waits for others, and when it fired last, in microseconds."""

    __slots__ = ("last_fire_at", "state")

    def __init__(self, state: TaskState) -> None:
        self.state = state
        self.last_fire_at: int | None = None
