"""StandIn: what an app's calls mean to a task of a backtest.

Tasks may hold the app that they belong to, and call it. In a backtest such a call must reach the
simulation and never the live store; which of the two is meant, the calling context says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from closingbell.core.call import Call
from closingbell.core.task import TaskDefinition


class StandIn(Protocol):
    """Takes the place of an open store for the calls that a simulation can answer."""

    def submit(
        self,
        task: TaskDefinition,
        payload: Mapping[str, Any] | None,
        options: Any,
        connection: Any,
    ) -> str:
        """Take in a run; return its id."""
        ...

    def submit_many(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        options: Any,
        connection: Any,
    ) -> list[str]:
        """Take in many runs; return their ids in order."""
        ...

    def trigger_event(self, event_type: str, data: dict[str, Any], connection: Any) -> list[str]:
        """Take in an event; return the ids of the runs that it starts."""
        ...

    def task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands."""
        ...

    def send_alert(
        self, message: str, severity: str, call: Call | None, data: Mapping[str, Any]
    ) -> None:
        """Note an alert that a task sends."""
        ...


#: Set for the tasks of a backtest.
current_stand_in: ContextVar[StandIn | None] = ContextVar("closingbell_stand_in", default=None)
