"""Schedules of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from closingbell.client.asynchronous.transport import AsyncTransport
from closingbell.client.request import Request, body, path
from closingbell.wire.page import Page
from closingbell.wire.run import RunInfo
from closingbell.wire.schedule import (
    FiringLine,
    ScheduleInfo,
    SchedulePreview,
    ScheduleRequest,
    TickInfo,
)


class AsyncSchedules:
    """When tasks run by themselves."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Make it; use `client.schedules`."""
        self._transport = transport

    def all(
        self, *, task: str | None = None, paused: bool | None = None
    ) -> AsyncIterator[ScheduleInfo]:
        """Yield schedules by id.

        Args:
            task: only this task's.
            paused: only those that are paused, or are not.
        """
        return self._transport.walk(("schedules",), ScheduleInfo, {"task": task, "paused": paused})

    async def get(self, schedule_id: str) -> ScheduleInfo:
        """Return one schedule; its `version` is what a change of it must name."""
        return await self._transport.get(("schedules", schedule_id), ScheduleInfo)

    async def create(self, schedule: ScheduleRequest) -> ScheduleInfo:
        """Make a schedule."""
        return await self._transport.post(("schedules",), ScheduleInfo, schedule)

    async def preview(self, schedule: ScheduleRequest) -> SchedulePreview:
        """Return what a schedule would do; nothing is stored."""
        return await self._transport.post(("schedules", "preview"), SchedulePreview, schedule)

    async def change(
        self, schedule_id: str, schedule: ScheduleRequest, version: str
    ) -> ScheduleInfo:
        """Change a schedule as a whole.

        Args:
            schedule_id: which.
            schedule: how it is to be.
            version: of what was read; another one meanwhile is a `VersionMismatch`.
        """
        headers = {"If-Match": f'"{version}"'}
        request = Request(
            "PUT", path("schedules", schedule_id), body=body(schedule), headers=headers
        )
        return await self._transport.ask(request, ScheduleInfo)

    async def remove(self, schedule_id: str, reason: str | None = None) -> None:
        """Remove a schedule that was made by hand."""
        content = None if reason is None else {"reason": reason}
        await self._transport.send(Request("DELETE", path("schedules", schedule_id), body=content))

    async def pause(
        self, schedule_id: str, reason: str, until: datetime | None = None
    ) -> ScheduleInfo:
        """Stop a schedule from firing, until an instant or until it is resumed."""
        values = {"reason": reason, "until": until}
        return await self._transport.post(("schedules", schedule_id, "pause"), ScheduleInfo, values)

    async def resume(
        self, schedule_id: str, *, catch_up: bool = False, reason: str | None = None
    ) -> ScheduleInfo:
        """Let a paused schedule fire again; with `catch_up` also what it missed."""
        values = {"catch_up": catch_up, "reason": reason}
        parts = ("schedules", schedule_id, "resume")
        return await self._transport.post(parts, ScheduleInfo, values)

    async def run_now(self, schedule_id: str, reason: str | None = None) -> RunInfo:
        """Submit a run as the schedule would."""
        values = {"reason": reason}
        return await self._transport.post(("schedules", schedule_id, "run-now"), RunInfo, values)

    async def next(
        self, schedule_id: str, count: int = 10, after: datetime | None = None
    ) -> list[FiringLine]:
        """Return the next firings with their reasons, and what does not fire."""
        values = {"count": count, "after": after}
        return await self._transport.get(
            ("schedules", schedule_id, "next"), list[FiringLine], values
        )

    async def ticks(
        self, schedule_id: str, *, limit: int = 100, after: str | None = None
    ) -> Page[TickInfo]:
        """Return a page of what became of each instant, the newest first."""
        values = {"limit": limit, "after": after}
        return await self._transport.get(
            ("schedules", schedule_id, "ticks"), Page[TickInfo], values
        )
