"""ChildCall: one call of a function in a child process that lives no longer than its run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from closingbell.core.call import Call
from closingbell.core.clock import SystemClock
from closingbell.core.error import RunCancelled, TaskFailed
from closingbell.core.outcome import Lost, Outcome, Raised, Returned, TimedOut
from closingbell.core.run import Claim
from closingbell.executor.capture import Capture
from closingbell.executor.process import ProcessExecutor
from closingbell.task import define

if TYPE_CHECKING:
    from closingbell.core.context import Context

#: How often the run's end is looked for, in seconds.
_LOOK_S = 0.1
#: Characters of the child's output that are kept.
_OUTPUT_LIMIT = 65_536


def call_in_child(
    function: Callable[..., Any],
    payload: Mapping[str, Any],
    context: Context,
    *,
    timeout_s: float,
) -> Any:
    """Call a function in a child process; return what it returned, as JSON values.

    What it prints becomes lines of the run's log. When the run is cancelled, or its time is over,
    the child is killed.

    Args:
        function: a module-level function.
        payload: its arguments by name, JSON values.
        context: of the run in whose name it is called.
        timeout_s: after so long it is killed.

    Raises:
        HandlerNotFound: a child cannot import the function.
        TaskFailed: it raised, took too long, or the child died.
        RunCancelled: the run was cancelled meanwhile.
    """
    task = define(function, context.task, {"executor": "process", "timeout": timeout_s}, "UTC")
    capture = Capture(_OUTPUT_LIMIT)
    executor = ProcessExecutor(1, SystemClock(), capture)
    ended = threading.Event()
    outcomes: list[Outcome] = []

    def done(_call: Call, outcome: Outcome) -> None:
        outcomes.append(outcome)
        ended.set()

    text = msgspec.json.encode(dict(payload)).decode()
    claim = Claim(
        context.run_id, context.fence, context.task, text, context.attempt, context.max_attempts,
        timeout_s, 0, None, None, None, "process", 0, None, 0,
    )  # fmt: skip
    call = Call(claim, task, lambda _call: None, lambda _call, _value: Returned(None), done)
    executor.start()
    try:
        executor.submit([call])
        while not ended.wait(_LOOK_S):
            if context.cancelled:
                reason = context.cancel_reason or "the run has ended"
                raise RunCancelled(context.run_id, "cancelled", reason)
    finally:
        executor.stop(0.0)
        for _, line in capture.take(call):
            context.log.info("%s", line.rstrip("\n"))
    return _value_of(outcomes[0], context)


def _value_of(outcome: Outcome, context: Context) -> Any:
    match outcome:
        case Returned(result):
            return None if result is None else msgspec.json.decode(result)
        case Raised(error) | TimedOut(error, _) | Lost(error):
            raise TaskFailed(context.run_id, context.task, error)
    raise RunCancelled(context.run_id, "cancelled", str(outcome))
