"""Waiters: who in this process wants to know that something became of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Waiters:
    """Callbacks by run; any thread may add them and call them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: dict[str, list[Callable[[], None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._wakes)

    @contextmanager
    def listening(self, run_id: str, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called, from any thread, when something became of a run."""
        with self._lock:
            self._wakes.setdefault(run_id, []).append(wake)
        try:
            yield
        finally:
            with self._lock:
                wakes = self._wakes[run_id]
                wakes.remove(wake)
                if not wakes:
                    del self._wakes[run_id]

    def tell(self, run_id: str) -> None:
        """Wake who waits for a run."""
        if run_id in self._wakes:
            with self._lock:
                wakes = list(self._wakes.get(run_id, ()))
            for wake in wakes:
                wake()
