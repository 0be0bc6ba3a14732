"""What SQLite knows of its lanes, inside the transaction that claims in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from closingbell.core.limit import Bucket
from closingbell.core.run import Claim
from closingbell.store import sqlite_sql as sql
from closingbell.store.lanes import Candidate

_Ordered = tuple[int, int, Claim]
_read_ordered = msgspec.json.Decoder(list[_Ordered]).decode


class SqliteLanes:
    """The `LaneFacts` of one write transaction."""

    def __init__(self, driver: Any, unknown: str, now: int) -> None:
        self._driver = driver
        self._unknown = unknown
        self._now = now

    def running_lanes(self) -> Mapping[str, int]:
        return dict(self._driver.execute(sql.RUNNING_LANES).fetchall())

    def used(self, bucket: str, since: int) -> int:
        units: int = self._driver.execute(sql.USED, (bucket, since)).fetchone()[0]
        return units

    def first_use(self, bucket: str, since: int) -> int | None:
        first: int | None = self._driver.execute(sql.FIRST_USE, (bucket, since)).fetchone()[0]
        return first

    def candidates(
        self, executor: str, free: int, places: Mapping[str, int]
    ) -> Iterator[Candidate]:
        statement = sql.LANE_CANDIDATES.format(unknown=self._unknown)
        for lane, most in places.items():
            rows = self._driver.execute(statement, (self._now, lane, executor, most)).fetchone()[0]
            yield from (Candidate(*row, lane) for row in _read_ordered(rows))
        statement = sql.ORDERED_CANDIDATES.format(unknown=self._unknown)
        rows = self._driver.execute(statement, (self._now, executor, free)).fetchone()[0]
        yield from (Candidate(*row, None) for row in _read_ordered(rows))

    def use(self, bucket: Bucket, units: int) -> None:
        self._driver.execute(sql.USE, (bucket.name, self._now, units, bucket.window))
