"""Archiver: archives what is old on a thread of its own, and says whether that works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from closingbell.core.error import StoreError

if TYPE_CHECKING:
    from closingbell.store.archive import Cut
    from closingbell.store.store import Store

_log = logging.getLogger("closingbell")


class Archiver:
    """The archiver of one worker: an object store may be slow, and a lease may not wait for it."""

    def __init__(
        self,
        *,
        store: Store,
        root: str,
        cut: Callable[[], Cut],
        prune_rest: Callable[[], None],
        on_archived: Callable[[str, Exception | None], None],
    ) -> None:
        """Make it; `begin` archives once.

        Args:
            store: what is archived.
            root: where to: a folder or an address of an object store.
            cut: returns before when what is old.
            prune_rest: deletes what is not archived, once what is archived is.
            on_archived: told each time with `root`, and what went wrong or None.
        """
        self._store = store
        self._root = root
        self._cut = cut
        self._prune_rest = prune_rest
        self._on_archived = on_archived
        self._halting = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Archive what is old; when it is at it already, leave it alone."""
        if self._halting.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(
            target=self._archive, name="closingbell-archive", daemon=True
        )
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until what was begun has ended, for so many seconds at most."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stop(self) -> None:
        """End with what is whole."""
        self._halting.set()
        self.wait(10)

    def _archive(self) -> None:
        try:
            problem = self._try()
            if not self._halting.is_set():
                self._on_archived(self._root, problem)
        except StoreError as silent:
            # An alert would be stored in what does not answer; `readyz` says that it does not.
            _log.error("nothing is archived: %s; it will be tried again in a minute", silent)

    def _try(self) -> Exception | None:
        try:
            self._store.archive.archive(self._root, self._cut(), lambda: not self._halting.is_set())
            if not self._halting.is_set():
                self._prune_rest()
        except StoreError:
            raise
        except Exception as problem:
            _log.error("%s; it will be tried again in a minute", problem)
            return problem
        return None
