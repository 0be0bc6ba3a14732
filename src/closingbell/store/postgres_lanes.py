"""What PostgreSQL knows of its lanes, inside the transaction that claims in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from closingbell.core.limit import Bucket
from closingbell.core.run import Claim
from closingbell.store import postgres_sql as sql
from closingbell.store.lanes import Candidate
from closingbell.store.postgres_link import number_array, text_array

_read_candidates = msgspec.json.Decoder(list[tuple[int, int, str | None, Claim]]).decode


class PostgresLanes:
    """The `LaneFacts` of one transaction that holds the lane lock."""

    def __init__(self, link: Any, unknown: str, now: int) -> None:
        self._link = link
        self._unknown = unknown
        self._now = now

    def running_lanes(self) -> Mapping[str, int]:
        return dict(self._link.execute(sql.RUNNING_LANES).fetchall())

    def used(self, bucket: str, since: int) -> int:
        return scalar(self._link.execute(sql.USED, (bucket, since)))

    def first_use(self, bucket: str, since: int) -> int | None:
        first: int | None = self._link.execute(sql.FIRST_USE, (bucket, since)).fetchone()[0]
        return first

    def candidates(
        self, executor: str, free: int, places: Mapping[str, int]
    ) -> Iterable[Candidate]:
        values = {
            "now": self._now,
            "executor": executor,
            "unknown": self._unknown,
            "free": free,
            "lanes": text_array(list(places)),
            "places": number_array(list(places.values())),
        }
        found = _read_candidates(self._link.execute(sql.CANDIDATES, values).fetchone()[0])
        return [Candidate(priority, due, claim, lane) for priority, due, lane, claim in found]

    def use(self, bucket: Bucket, units: int) -> None:
        self._link.execute(sql.USE, (bucket.name, self._now, units, bucket.window))


def scalar(cursor: Any) -> int:
    """Return the one number that a statement gave."""
    return int(cursor.fetchone()[0])
