"""Who is alive, and what the dead held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update

from closingbell.core.run import Claim
from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.schema import literal, runs, workers


class StoredWorkers:
    """The `Workers` of both stores; see the port for the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(
        self,
        worker_id: str,
        host: str,
        pid: int,
        about: Mapping[str, Any],
        now: int,
        lease_until: int,
    ) -> None:
        """Store a living worker with its first lease."""
        with self._database.writing() as connection:
            connection.execute(
                insert(workers).values(
                    id=worker_id,
                    state="alive",
                    host=host,
                    pid=pid,
                    about=to_json(dict(about)),
                    started_at=now,
                    seen_at=now,
                    lease_until=lease_until,
                )
            )

    def beat(self, worker_id: str, now: int, lease_until: int) -> bool:
        """Extend the lease; False when the worker was declared dead meanwhile."""
        with self._database.writing() as connection:
            extended = connection.execute(
                update(workers)
                .where(workers.c.id == worker_id, workers.c.state == "alive")
                .values(seen_at=now, lease_until=lease_until)
            )
            return extended.rowcount == 1

    def leave(self, worker_id: str, now: int) -> None:
        """Mark a worker as stopped."""
        with self._database.writing() as connection:
            connection.execute(
                update(workers)
                .where(workers.c.id == worker_id, workers.c.state == "alive")
                .values(state="stopped", stopped_at=now, seen_at=now)
            )

    def bury(self, now: int) -> list[str]:
        """Declare dead the workers whose lease has ended; return all that still hold runs."""
        expired = (workers.c.state == "alive") & (workers.c.lease_until < now)
        with self._database.reading() as connection:
            any_expired = connection.execute(select(workers.c.id).where(expired)).first()
        if any_expired is not None:
            with self._database.writing() as connection:
                connection.execute(
                    update(workers).where(expired).values(state="dead", stopped_at=now)
                )
        held = select(runs.c.worker_id).where(runs.c.state == literal("running")).distinct()
        gone = select(workers.c.id).where(workers.c.state != "alive", workers.c.id.in_(held))
        with self._database.reading() as connection:
            return list(connection.execute(gone).scalars())

    def held(self, worker_ids: Iterable[str], limit: int = 1_000) -> list[Claim]:
        """Return what workers hold, as the claims that they were."""
        query = (
            select(runs)
            .where(runs.c.state == literal("running"), runs.c.worker_id.in_(list(worker_ids)))
            .order_by(runs.c.id)
            .limit(limit)
        )
        return self._claims(query)

    def _claims(self, query: Any) -> list[Claim]:
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Claim(
                id=row["id"],
                fence=row["fence"],
                task=row["task"],
                payload=row["payload"],
                attempt=row["attempt"],
                max_attempts=row["max_attempts"],
                timeout_s=row["timeout_s"],
                due_at=row["due_at"],
                fire_at=row["fire_at"],
                session_date=row["session_date"],
                schedule_id=row["schedule_id"],
                executor=row["executor"],
                lost_count=row["lost_count"],
                cancel_reason=row["cancel_reason"],
                started_at=row["started_at"],
                trace=row["trace"],
            )
            for row in rows
        ]

    def cancel_requests(self, worker_id: str) -> list[tuple[str, int, str]]:
        """Return (run id, fence, reason) of this worker's runs that should be cancelled."""
        query = select(runs.c.id, runs.c.fence, runs.c.cancel_reason).where(
            runs.c.state == literal("running"),
            runs.c.cancel_requested_at.is_not(None),
            runs.c.worker_id == worker_id,
        )
        with self._database.reading() as connection:
            return [
                (row.id, row.fence, row.cancel_reason or "cancelled")
                for row in connection.execute(query)
            ]

    def list_all(self) -> list[dict[str, Any]]:
        """Return all workers, newest first, with what they said about themselves."""
        query = select(workers).order_by(workers.c.started_at.desc())
        with self._database.reading() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        for row in rows:
            row["about"] = from_json(row["about"])
        return rows

    def forget(self, stopped_before: int) -> int:
        """Delete workers that ended before an instant and hold nothing."""
        held = select(runs.c.worker_id).where(runs.c.state == literal("running"))
        with self._database.writing() as connection:
            return connection.execute(
                delete(workers).where(
                    workers.c.state != "alive",
                    workers.c.stopped_at < stopped_before,
                    workers.c.id.not_in(held),
                )
            ).rowcount
