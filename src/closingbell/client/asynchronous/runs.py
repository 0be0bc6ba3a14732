"""Runs of a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.event_stream import EventReader
from closingbell.client.request import Request, path
from closingbell.core.clock import SystemClock
from closingbell.core.error import RunNotFinished
from closingbell.wire.bulk import BulkAnswer
from closingbell.wire.page import Page
from closingbell.wire.run import (
    Explanation,
    HappeningInfo,
    LogPiece,
    RunId,
    RunInfo,
    RunSummaryInfo,
)


class AsyncRuns:
    """What ran, runs, and will run."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.runs`."""
        self._transport = transport

    async def submit(
        self,
        task: str,
        payload: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        delay_s: float | None = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        key: str | None = None,
        reason: str | None = None,
        request_key: str | None = None,
    ) -> RunSummaryInfo:
        """Submit a run; it is stored when this returns.

        Args:
            task: its name.
            payload: what the handler is given.
            at: not before this instant; naive means the service's zone.
            delay_s: not before so many seconds from now.
            priority: 1 runs first, 9 last; default the task's.
            tags: beside the task's own.
            key: a second run of the task with the same key is the first one.
            reason: why, for the audit ledger.
            request_key: an idempotency key of your own: the same call with the same key, from
                any process, submits once. Without one, retries of this call submit once.

        Raises:
            UnknownTask: the service's app has no such task.
            PayloadMismatch: the payload does not fit its handler.
        """
        values = {
            "task": task,
            "payload": dict(payload or {}),
            "at": at,
            "delay_s": delay_s,
            "priority": priority,
            "tags": list(tags),
            "key": key,
            "reason": reason,
        }
        return await self._transport.post(("runs",), RunSummaryInfo, values, request_key)

    async def find(self, beginning: str) -> str:
        """Return the id of the one run whose id begins so.

        Raises:
            UnknownRun: there is none.
            SubmitError: there are several.
        """
        found = await self._transport.get(("run-ids", beginning), RunId)
        return found.id

    async def get(self, run_id: str) -> RunInfo:
        """Return one run with its attempts, and why it is where it is."""
        return await self._transport.get(("runs", run_id), RunInfo)

    async def wait(
        self, run_id: str, *, timeout_s: float | None = None, look_s: float = 0.25
    ) -> RunInfo:
        """Return a run once it has ended.

        Args:
            run_id: which.
            timeout_s: give up after so long, in seconds; None = never.
            look_s: how often to look.

        Raises:
            RunNotFinished: it had not ended by then; it runs on.
        """
        clock = SystemClock()
        began = clock.monotonic()
        while True:
            run = await self.get(run_id)
            if run.state.is_final:
                return run
            waited_s = clock.monotonic() - began
            if timeout_s is not None and waited_s >= timeout_s:
                raise RunNotFinished(run_id, run.state, waited_s)
            await asyncio.sleep(look_s)

    def all(self, filter: str | None = None, **fields: Any) -> AsyncIterator[RunSummaryInfo]:
        """Yield the runs that a filter means, the newest first.

        Args:
            filter: in one line, such as 'task:scan state:failed -tag:eod "out of memory"'.
            fields: the same by name: `task`, `state` (several in a list), `tag`, `schedule`,
                `batch`, `cause`, `submitted_since`, ...

        Raises:
            FilterError: it cannot be read.
        """
        return self._transport.walk(("runs",), RunSummaryInfo, {"filter": filter, **fields})

    async def page(
        self,
        filter: str | None = None,
        *,
        limit: int = 100,
        after: str | None = None,
        **fields: Any,
    ) -> Page[RunSummaryInfo]:
        """Return a page of the runs that a filter means; see `all`."""
        values = {"filter": filter, **fields, "limit": limit, "after": after}
        return await self._transport.get(("runs",), Page[RunSummaryInfo], values)

    async def explain(self, run_id: str) -> str:
        """Say in one line why a run is where it is."""
        told = await self._transport.get(("runs", run_id, "explanation"), Explanation)
        return told.explanation

    async def history(self, run_id: str) -> list[HappeningInfo]:
        """Return what happened to a run, in order."""
        return await self._transport.get(("runs", run_id, "history"), list[HappeningInfo])

    def logs(self, run_id: str) -> AsyncIterator[LogPiece]:
        """Yield what a run has printed and logged so far, in order."""
        return self._transport.walk(("runs", run_id, "logs"), LogPiece)

    async def follow_logs(self, run_id: str) -> AsyncIterator[LogPiece]:
        """Yield what a run prints and logs, as it comes, until it has ended.

        A lost connection is made anew and goes on where it broke.
        """
        request = Request("GET", path("runs", run_id, "logs"))
        async for event in self._transport.follow(request, EventReader(), "end"):
            if event.event == "log":
                yield LogPiece.model_validate_json(event.data)

    async def cancel(self, run_id: str, reason: str | None = None) -> RunInfo:
        """Cancel a run; one that runs is asked to end."""
        return await self._act(run_id, "cancel", reason)

    async def retry(self, run_id: str, reason: str | None = None) -> RunInfo:
        """Let a run that has ended run again."""
        return await self._act(run_id, "retry", reason)

    async def run_now(self, run_id: str, reason: str | None = None) -> RunInfo:
        """Let a run that waits for its time run now."""
        return await self._act(run_id, "run-now", reason)

    async def cancel_many(
        self,
        filter: str,
        reason: str | None = None,
        *,
        most: int = 10_000,
        dry_run: bool = False,
    ) -> BulkAnswer:
        """Cancel all runs that a filter means.

        Args:
            filter: it must say something; see `all`.
            reason: stored with the runs, and in the audit ledger.
            most: not more than so many, the newest first.
            dry_run: count, and change nothing.
        """
        return await self._many("cancel", filter, reason, most, dry_run)

    async def retry_many(
        self,
        filter: str,
        reason: str | None = None,
        *,
        most: int = 10_000,
        dry_run: bool = False,
    ) -> BulkAnswer:
        """Let all runs that a filter means run again; see `cancel_many`."""
        return await self._many("retry", filter, reason, most, dry_run)

    async def _act(self, run_id: str, act: str, reason: str | None) -> RunInfo:
        return await self._transport.post(("runs", run_id, act), RunInfo, {"reason": reason})

    async def _many(
        self, act: str, filter: str, reason: str | None, most: int, dry_run: bool
    ) -> BulkAnswer:
        values = {
            "filter": {"filter": filter},
            "reason": reason,
            "most": most,
            "dry_run": dry_run,
        }
        return await self._transport.post(("runs", act), BulkAnswer, values)
