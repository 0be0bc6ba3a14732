"""AsyncApp: the app's calls for async code.

A submission waits for the disk; on an event loop that wait belongs into a
thread. The calls and their meaning are those of `App`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from closingbell.core.run import Run, RunState
from closingbell.handle import RunHandle

if TYPE_CHECKING:
    from closingbell.app import App, TaskRef
    from closingbell.core.approval import HeldRun, Standing


class AsyncApp:
    """Reached as `app.aio`; every call runs in a thread and is awaited."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def start(self, *, worker: bool = True, scheduler: bool = True) -> None:
        """Start without blocking; see `App.start`."""
        await asyncio.to_thread(self._app.start, False, worker=worker, scheduler=scheduler)

    async def stop(self, grace_s: float | None = None) -> None:
        """Drain and stop; see `App.stop`."""
        await asyncio.to_thread(self._app.stop, grace_s)

    @asynccontextmanager
    async def running(
        self, *, worker: bool = True, scheduler: bool = True
    ) -> AsyncIterator[AsyncApp]:
        """Start, and stop at the end of the `async with` block."""
        await self.start(worker=worker, scheduler=scheduler)
        try:
            yield self
        finally:
            await self.stop()

    async def submit(
        self,
        task: TaskRef,
        payload: Mapping[str, Any] | None = None,
        *,
        at: datetime | str | None = None,
        delay: Any = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        key: str | None = None,
    ) -> RunHandle:
        """Store a run; see `App.submit`. `await handle` gives its result."""
        return await asyncio.to_thread(
            self._app.submit,
            task,
            payload,
            at=at,
            delay=delay,
            priority=priority,
            tags=tags,
            key=key,
        )

    async def submit_many(
        self,
        task: TaskRef,
        payloads: Sequence[Mapping[str, Any] | None],
        *,
        at: datetime | str | None = None,
        delay: Any = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
    ) -> list[str]:
        """Store many runs; see `App.submit_many`."""
        return await asyncio.to_thread(
            self._app.submit_many, task, payloads, at=at, delay=delay, priority=priority, tags=tags
        )

    async def trigger_event(
        self, event_type: str, data: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Store an event and the runs that it starts; see `App.trigger_event`."""
        return await asyncio.to_thread(self._app.trigger_event, event_type, data)

    async def get_run(self, run_id: str) -> Run:
        """Return a run with its attempts."""
        return await asyncio.to_thread(self._app.get_run, run_id)

    async def list_runs(
        self,
        *,
        task: str | None = None,
        states: Sequence[str] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return a page of runs; see `App.list_runs`."""
        return await asyncio.to_thread(
            self._app.list_runs, task=task, states=states, before=before, limit=limit
        )

    async def result(self, run_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Wait for a run's end and return its result; see `RunHandle.result`."""
        machinery = await asyncio.to_thread(lambda: self._app.machinery)
        return await machinery.wait_run_async(run_id, timeout)

    async def cancel(self, run_id: str, reason: str = "cancelled by a person") -> RunState:
        """Cancel a run; see `RunHandle.cancel`."""
        return await asyncio.to_thread(self._app.cancel, run_id, reason)

    async def retry(self, run_id: str) -> RunHandle:
        """Let a run run again now; see `App.retry`."""
        return await asyncio.to_thread(self._app.retry, run_id)

    async def approve(self, run_id: str, reason: str | None = None) -> Standing:
        """Release a run that waits for people; see `App.approve`."""
        return await asyncio.to_thread(self._app.approve, run_id, reason)

    async def reject(self, run_id: str, reason: str) -> Standing:
        """End a run that waits for people; see `App.reject`."""
        return await asyncio.to_thread(self._app.reject, run_id, reason)

    async def approvals(self, limit: int = 100, after: str | None = None) -> list[HeldRun]:
        """Return runs that wait for people; see `App.approvals`."""
        return await asyncio.to_thread(self._app.approvals, limit, after)

    async def explain(self, run_id: str) -> str:
        """Say in one line why a run is where it is."""
        return await asyncio.to_thread(self._app.handle(run_id).explain)

    async def get_task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands; see `App.get_task_status`."""
        return await asyncio.to_thread(self._app.get_task_status)
