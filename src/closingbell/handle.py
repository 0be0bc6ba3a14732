"""RunHandle: a submitted run in the caller's hand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol

from closingbell.core.run import Run, RunState


class RunKeeper(Protocol):
    """What a handle asks of its app."""

    def get_run(self, run_id: str) -> Run:
        """Return one run with its attempts."""
        ...

    def wait_run(self, run_id: str, timeout: float | None) -> Any:
        """Wait for a run's end and return its result."""
        ...

    async def wait_run_async(self, run_id: str, timeout: float | None) -> Any:  # noqa: ASYNC109
        """Wait for a run's end without holding a thread."""
        ...

    def cancel_run(self, run_id: str, reason: str) -> str:
        """Cancel a run; return its state."""
        ...

    def explain_run(self, run_id: str) -> str:
        """Say in one line why a run is where it is."""
        ...


class RunHandle:
    """One submitted run. `await handle` gives its result without blocking the loop.

    It stays good when its app is stopped and started again.

    Attributes:
        id: the run's id.
    """

    __slots__ = ("_find_keeper", "id")

    def __init__(self, run_id: str, find_keeper: Callable[[], RunKeeper]) -> None:
        """Hold a run.

        Args:
            run_id: which run.
            find_keeper: returns what its app works with at present.
        """
        self.id = run_id
        self._find_keeper = find_keeper

    @property
    def _keeper(self) -> RunKeeper:
        return self._find_keeper()

    def __repr__(self) -> str:
        return f"<RunHandle {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunHandle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def run(self) -> Run:
        """The run as the store knows it now."""
        return self._keeper.get_run(self.id)

    @property
    def status(self) -> RunState:
        """The run's present state."""
        return self._keeper.get_run(self.id).state

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and return what the task returned.

        Args:
            timeout: seconds to wait at most; None = without end.

        Raises:
            TaskFailed: the run failed; the error says how.
            RunCancelled: the run was cancelled or skipped.
            RunNotFinished: it has not ended in time.
        """
        return self._keeper.wait_run(self.id, timeout)

    def cancel(self, reason: str = "cancelled by a person") -> RunState:
        """Cancel the run: at once while it waits, by the ladder of its executor while it runs.

        Returns:
            The state after the call: cancelled, or running when its worker was asked.

        Raises:
            InvalidTransition: it has already ended.
        """
        return RunState(self._keeper.cancel_run(self.id, reason))

    def explain(self) -> str:
        """Say in one line why the run is where it is."""
        return self._keeper.explain_run(self.id)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._keeper.wait_run_async(self.id, None).__await__()
