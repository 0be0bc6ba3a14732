"""Results of work that ran elsewhere, kept beside the runs of this engine."""

from __future__ import annotations

from typing import Any

from closingbell.core.run import RunState
from closingbell.store.codec import to_json
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.schema import runs

#: The cause of runs that this engine did not run.
ELSEWHERE = "elsewhere"

_OUTCOMES = {
    RunState.SUCCESS: "returned",
    RunState.FAILED: "raised",
    RunState.CANCELLED: "cancelled",
    RunState.SKIPPED: "skipped",
}


class StoredForeign:
    """Records what somebody else's executor did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        run_id: str,
        task: str,
        state: RunState,
        *,
        executor: str,
        timeout_s: float,
        payload: dict[str, Any],
        priority: int,
        tags: list[str],
        started_at: int,
        finished_at: int,
        result: Any,
        error: dict[str, Any] | None,
    ) -> bool:
        """Store an ended run; returns False, and changes nothing, when the id is known.

        Raises:
            StoreError: the store did not take it.
        """
        row = {
            "id": run_id,
            "task": task,
            "state": state.value,
            "outcome": _OUTCOMES[state],
            "priority": priority,
            "executor": executor,
            "cause": ELSEWHERE,
            "due_at": started_at,
            "submitted_at": started_at,
            "started_at": started_at,
            "finished_at": finished_at,
            "payload": to_json(payload),
            "tags": to_json(tags),
            "max_attempts": 1,
            "timeout_s": timeout_s,
            "attempt": 1,
            "fence": 1,
            "result": None if result is None else to_json(result),
            "error": None if error is None else to_json(error),
        }
        with self._database.writing() as connection:
            stored = connection.execute(
                insert_of(connection)(runs)
                .values(**row)
                .on_conflict_do_nothing()
                .returning(runs.c.id)
            )
            return stored.first() is not None
