"""One attempt on its way through an executor.

The engine makes a Call from a claim, an executor runs it, and what came of it
goes back through `done`. Everything that most runs never ask for is made when
it is asked for: a run costs microseconds.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import date
from typing import Any

from closingbell.core.clock import from_micros
from closingbell.core.context import Context
from closingbell.core.error import ClosingbellError
from closingbell.core.outcome import Outcome
from closingbell.core.run import Claim
from closingbell.core.task import TaskDefinition

#: The call that the current thread or coroutine is executing.
current_call: ContextVar[Call | None] = ContextVar("closingbell_call", default=None)

#: An error's traceback is stored up to so many characters, the end of it kept.
TRACEBACK_LIMIT = 8_000


class Call:
    """One attempt.

    Attributes:
        claim: the held run.
        task: its definition.
        invoke: calls the handler with its bound arguments in this process, and
            returns what it returns (a coroutine for an async handler).
        done: to be called exactly once, from any thread, with the outcome. A
            returned value goes as `Returned(json_text)`; see `encode`.
        encode: turns what the handler returned into an outcome (`Returned`, or
            `Skipped`, `Snoozed`, `Cancelled` for the returned signals, or `Raised` when it
            cannot be written as JSON).
        deadline: machine seconds (`Clock.monotonic`) at which the attempt has run too
            long; set when it starts.
        logs: captured output so far, as (stream, text) pieces; None before the first.
        stopping: why the attempt is being stopped, once it is.
        span: of a tracer, while one follows the attempt.
    """

    __slots__ = (
        "_context",
        "claim",
        "deadline",
        "done",
        "encode",
        "invoke",
        "log_size",
        "logs",
        "outcome",
        "span",
        "stopping",
        "task",
    )

    def __init__(
        self,
        claim: Claim,
        task: TaskDefinition,
        invoke: Callable[[Call], Any],
        encode: Callable[[Call, Any], Outcome],
        done: Callable[[Call, Outcome], None],
    ) -> None:
        self.claim = claim
        self.task = task
        self.invoke = invoke
        self.encode = encode
        self.done = done
        self.deadline = 0.0
        self.logs: list[tuple[str, str]] | None = None
        self.log_size = 0
        self.outcome: Outcome | None = None
        self.stopping: Outcome | None = None
        self.span: Any = None
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The run's view of itself, made when first asked for."""
        if self._context is None:
            claim = self.claim
            self._context = Context(
                run_id=claim.id,
                task=claim.task,
                attempt=claim.attempt,
                max_attempts=claim.max_attempts,
                fence=claim.fence,
                due_at=from_micros(claim.due_at),
                fire_at=None if claim.fire_at is None else from_micros(claim.fire_at),
                session_date=(
                    None if claim.session_date is None else date.fromisoformat(claim.session_date)
                ),
            )
        return self._context

    @property
    def has_context(self) -> bool:
        """Whether anybody asked for the context yet."""
        return self._context is not None


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an exception as JSON values: `code`, `type`, `message`, `traceback`, `bases`."""
    text = "".join(traceback.format_exception(error))
    if len(text) > TRACEBACK_LIMIT:
        text = "...\n" + text[-TRACEBACK_LIMIT:]
    return {
        "code": error.code if isinstance(error, ClosingbellError) else "raised",
        "type": type(error).__name__,
        "message": str(error)[:TRACEBACK_LIMIT],
        "traceback": text,
        "bases": [base.__name__ for base in type(error).__mro__[1:-1]],
    }


def current_context() -> Context:
    """Return the context of the run that is executing here.

    Raises:
        LookupError: called outside a run.
    """
    call = current_call.get()
    if call is None:
        raise LookupError("no run is executing here: current_context() works inside a task only")
    return call.context
