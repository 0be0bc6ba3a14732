"""MemoryManifest: the manifest's in-memory twin."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from closingbell.core.error import LedgerConflict
from closingbell.core.ledger import Fact, FileVersion
from closingbell.trading.market.action import unknown

_Key = tuple[str, str, str]
_WHEN = attrgetter("at", "symbol")


def _key(file: FileVersion) -> _Key:
    return file.symbol, file.timeframe, file.period


class MemoryManifest:
    """Which files of bars are the truth, as long as this object lives.

    Args:
        on_facts: is given the facts of each change, after it.
    """

    def __init__(self, on_facts: Callable[[Sequence[Fact]], None] = lambda _facts: None) -> None:
        self._files: dict[_Key, FileVersion] = {}
        self._actions: list[Any] = []
        self._on_facts = on_facts
        self._lock = threading.Lock()

    def files(self, symbol: str | None = None, timeframe: str | None = None) -> list[FileVersion]:
        with self._lock:
            return [
                file
                for _, file in sorted(self._files.items())
                if symbol in (None, file.symbol) and timeframe in (None, file.timeframe)
            ]

    def replace(
        self,
        files: Sequence[FileVersion],
        gone: Sequence[FileVersion],
        facts: Sequence[Fact],
        at: int,
    ) -> None:
        with self._lock:
            for file in files:
                self._expect(file, file.version - 1)
            for file in gone:
                self._expect(file, file.version)
            for file in gone:
                del self._files[_key(file)]
            self._files.update((_key(file), file) for file in files)
        self._on_facts(facts)

    def actions(self) -> list[Any]:
        return sorted(self._actions, key=_WHEN)

    def put_actions(self, actions: Sequence[Any]) -> int:
        with self._lock:
            new = unknown(actions, self._actions)
            self._actions += new
        return len(new)

    def _expect(self, file: FileVersion, version: int) -> None:
        present = self._files.get(_key(file))
        found = present.version if present else 0
        if found != version:
            raise LedgerConflict(
                f"market data {file.symbol!r} {file.timeframe} {file.period}", version, found
            )
