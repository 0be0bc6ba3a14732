"""What happened to a run, as far as the store knows."""

from __future__ import annotations

from sqlalchemy import select

from closingbell.core.audit import AuditRecord
from closingbell.core.run_history import Happening, history_of
from closingbell.store.approvals import StoredApprovals
from closingbell.store.audit_schema import audit_records
from closingbell.store.database import Database
from closingbell.store.runs import StoredRuns

#: The latest acts on one run that are told.
_MOST = 1_000


class StoredRunHistory:
    """The histories of single runs."""

    def __init__(self, database: Database, runs: StoredRuns, approvals: StoredApprovals) -> None:
        self._database = database
        self._runs = runs
        self._approvals = approvals

    def of(self, run_id: str) -> list[Happening]:
        """Return what happened to a run, the first thing first.

        Raises:
            UnknownRun: it was never stored, or was pruned.
        """
        run = self._runs.get(run_id)
        decisions = self._approvals.of([run_id]).get(run_id, ())
        return history_of(run, self._acts(run_id), decisions)

    def _acts(self, run_id: str) -> list[AuditRecord]:
        query = (
            select(audit_records)
            .where(audit_records.c.target_kind == "run", audit_records.c.target_id == run_id)
            .order_by(audit_records.c.seq.desc())
            .limit(_MOST)
        )
        with self._database.reading() as connection:
            # The columns stand in the order of the fields.
            found = [AuditRecord._make(row) for row in connection.execute(query)]
        return found[::-1]
