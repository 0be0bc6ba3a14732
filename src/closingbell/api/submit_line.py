"""SubmitLine: what comes in while the store is at work is stored together, in its next turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.intake import Prepared, Taken

#: Runs that one transaction stores at most.
_MOST = 500


class SubmitLine:
    """Runs on their way into the store; used on one event loop.

    Each is answered when its transaction has committed, so that nothing is promised that is not
    on the disk. A transaction that fails fails for all that were in it, and none of them is there.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._waiting: list[tuple[Prepared, asyncio.Future[Taken]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def take(self, prepared: Prepared) -> Taken:
        """Store a plain run, with whatever else waits.

        Raises:
            StoreError: the store did not take it.
        """
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append((prepared, answer))
        if self._storing is None:
            # A context of its own: what is stored together is not all of whoever came first.
            self._storing = asyncio.create_task(self._store(), context=Context())
        return await answer

    async def _store(self) -> None:
        try:
            while self._waiting:
                turn, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                try:
                    stored = await run_in_threadpool(self._put, [one for one, _ in turn])
                except Exception as problem:
                    for _, answer in turn:
                        if not answer.done():
                            answer.set_exception(problem)
                    continue
                for (_, answer), taken in zip(turn, stored, strict=True):
                    if not answer.done():
                        answer.set_result(taken)
        finally:
            self._storing = None

    def _put(self, prepared: Sequence[Prepared]) -> list[Taken]:
        return self._app.machinery.intake.put_all(prepared)
