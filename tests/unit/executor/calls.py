"""Calls as the engine makes them, and a place where their outcomes arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from closingbell.core.call import Call
from closingbell.core.outcome import Outcome
from closingbell.core.run import Claim
from closingbell.core.task import TaskDefinition
from closingbell.executor.binding import Binding
from closingbell.executor.result import outcome_of


class Outcomes:
    """Makes calls and keeps every answer that they get."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answers: list[tuple[Call, Outcome]] = []
        self._count = 0
        self._tasks: dict[tuple[str, str], TaskDefinition] = {}

    def call(
        self,
        handler: Callable[..., Any],
        payload: dict[str, Any] | None = None,
        *,
        timeout_s: float = 30.0,
        task: str | None = None,
        import_path: str | None = None,
    ) -> Call:
        """Return a call of `handler`, bound as the engine binds it."""
        name = task or str(getattr(handler, "__name__", "task"))
        key = (name, f"{import_path}{id(handler)}")
        definition = self._tasks.get(key)
        if definition is None:
            definition = TaskDefinition(name=name, handler=handler, import_path=import_path)
            self._tasks[key] = definition
        binding = Binding(name, handler)
        self._count += 1
        claim = Claim(
            id=f"run-{self._count}",
            fence=7,
            task=name,
            payload=msgspec.json.encode(payload or {}).decode(),
            attempt=1,
            max_attempts=4,
            timeout_s=timeout_s,
            due_at=1_700_000_000_000_000,
            fire_at=None,
            session_date=None,
            schedule_id=None,
            executor="any",
            lost_count=0,
            cancel_reason=None,
            started_at=1_700_000_000_000_000,
        )

        def invoke(call: Call) -> Any:
            args, kwargs = binding.arguments(
                msgspec.json.decode(call.claim.payload), call, "the algorithm"
            )
            return handler(*args, **kwargs)

        def encode(call: Call, value: Any) -> Outcome:
            return outcome_of(name, value)

        return Call(claim, definition, invoke, encode, self._done)

    def _done(self, call: Call, outcome: Outcome) -> None:
        with self._changed:
            self._answers.append((call, outcome))
            self._changed.notify_all()

    def of(self, call: Call, within_s: float = 20.0) -> Outcome:
        """Wait for the call's answer; it must have got exactly one so far."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: bool(self._found(call)), within_s)
            assert arrived, f"no outcome of {call.claim.task} within {within_s} s"
            (outcome,) = self._found(call)
            return outcome

    def has(self, call: Call) -> bool:
        """Whether the call was answered."""
        with self._changed:
            return bool(self._found(call))

    def all(self, calls: list[Call], within_s: float = 20.0) -> list[Outcome]:
        """Wait for all answers, in the order of `calls`."""
        with self._changed:
            wanted = set(calls)
            arrived = self._changed.wait_for(
                lambda: wanted <= {call for call, _ in self._answers}, within_s
            )
            assert arrived, f"{len(self._answers)} of {len(calls)} outcomes within {within_s} s"
            answers = dict(self._answers)
            assert len(answers) == len(self._answers), "a call was answered twice"
            return [answers[call] for call in calls]

    def _found(self, call: Call) -> list[Outcome]:
        return [outcome for answered, outcome in self._answers if answered is call]


def text_of(call: Call, stream: str | None = None) -> str:
    """Return what was captured of a call, of one stream or of all."""
    return "".join(text for name, text in call.logs or () if stream in (None, name))
