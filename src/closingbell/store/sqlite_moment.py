"""What one transaction on SQLite knows while it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from closingbell.core.port import Claimer, Want
from closingbell.core.run import Claim, RunTemplate, Settlement
from closingbell.store import sqlite_sql as sql


class Moment:
    """What one transaction knows: the time, who claims, and what is free and waiting.

    Attributes:
        waiting: by executor kind, whether runs wait in lanes; None = not looked at, or changed.
        direct: by claimer, what was stored as already claimed.
    """

    def __init__(
        self, micros: int, claimers: list[Claimer], settled: list[list[Settlement]]
    ) -> None:
        self.micros = micros
        self.claimers = claimers
        self.wants = [c.want(ended) for c, ended in zip(claimers, settled, strict=True)]
        self.direct: list[list[Claim]] = [[] for _ in claimers]
        self.waiting: dict[str, bool] | None = None
        self._all = claimers

    def index(self, claimer: Claimer) -> int:
        """Return the place of a claimer in this transaction's lists."""
        return self._all.index(claimer)

    def idle_claimer(self, driver: Any, template: RunTemplate) -> Claimer | None:
        """Return who would claim a new run at once, because nothing waits before it."""
        kind = template.executor
        for index, claimer in enumerate(self.claimers):
            want = self.wants[index]
            if want is None or template.task in want.unknown:
                continue
            if want.free.get(kind, 0) > len(self.direct[index]):
                if self.waiting is None:
                    self.waiting = waiting_kinds(driver, want.free)
                return None if kind in self.waiting else claimer
        return None

    def rest(self, index: int) -> Want | None:
        """Return what a claimer still wants; None when it wants or would find nothing."""
        want, direct = self.wants[index], self.direct[index]
        if want is None or not direct:
            return want
        if self.waiting is not None and not self.waiting:
            return None
        taken = direct[0].executor
        free = {k: n - (len(direct) if k == taken else 0) for k, n in want.free.items()}
        return want._replace(free={k: n for k, n in free.items() if n > 0})


def waiting_kinds(driver: Any, kinds: Iterable[str]) -> dict[str, bool]:
    """Return the kinds for which runs are pending, and whether some of these are in lanes."""
    kinds = list(kinds)
    if not kinds:
        return {}
    flags = driver.execute(sql.waiting(len(kinds)), kinds).fetchone()
    return {
        kind: bool(flags[2 * n + 1])
        for n, kind in enumerate(kinds)
        if flags[2 * n] or flags[2 * n + 1]
    }
