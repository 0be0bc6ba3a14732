"""Readiness: whether this process can do its work, as it is at this moment."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from closingbell.core.error import ClosingbellError
from closingbell.store.pulse import feel_pulse

if TYPE_CHECKING:
    from closingbell.app import App

#: An answer of the store holds for so long, however often it is asked for.
_KEPT_S = 0.5
#: A store that is silent for longer does not answer.
_PATIENCE_S = 1.0


class ReadinessProbe:
    """Asks the store from a thread of its own, one at a time: a store that hangs holds up nobody."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._asking: asyncio.Future[list[str]] | None = None
        self._answer: list[str] = []
        self._answered_at: float | None = None

    async def reasons(self) -> list[str]:
        """Return why this process is not ready, in sentences; nothing when it is."""
        if self._answered_at is None or self._now() - self._answered_at > _KEPT_S:
            if self._asking is None:
                self._ask()
            asking = self._asking
            if asking is not None:
                await asyncio.wait({asking}, timeout=_PATIENCE_S)
                if not asking.done():
                    return [f"the store has not answered for {_PATIENCE_S:g} s"]
        return self._answer

    def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        asking = self._asking = loop.create_future()

        def settle(answer: list[str]) -> None:
            self._answer, self._answered_at, self._asking = answer, self._now(), None
            asking.set_result(answer)

        def ask() -> None:
            answer = self._look()
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, answer)

        threading.Thread(target=ask, name="closingbell-readiness", daemon=True).start()

    def _look(self) -> list[str]:
        try:
            machinery = self._app.machinery
            feel_pulse(machinery.store.database)
        except ClosingbellError as problem:
            return [str(problem)]
        except Exception as problem:
            return [f"the store cannot be asked: {type(problem).__name__}"]
        return machinery.troubles()

    def _now(self) -> float:
        return self._app.clock.monotonic()
