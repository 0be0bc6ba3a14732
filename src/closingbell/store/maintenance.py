"""Care for the database itself: copies, indexes, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from closingbell.core.error import BackupError, StoreError
from closingbell.store.backup_postgres import write_postgres
from closingbell.store.backup_sqlite import copy_sqlite, write_sqlite
from closingbell.store.database import PostgresDatabase, SqliteDatabase, translated
from closingbell.store.holding import Holding
from closingbell.store.schema import metadata
from closingbell.store.whole_file import log_beside, written

#: Rows of an index that SQLite looks at; it then knows enough, in tables of any size.
_ANALYSIS_LIMIT = 1_000


class StoredMaintenance:
    """The `Maintenance` of both stores; see the port for the contract.

    A path that ends in ".sql" gets SQL text; any other gets a copy of a SQLite file.
    PostgreSQL is always written as SQL text: our tables alone.
    """

    def __init__(self, database: SqliteDatabase | PostgresDatabase, holding: Holding) -> None:
        self._database = database
        self._holding = holding

    def backup(self, path: str) -> Mapping[str, Any]:
        target = Path(path)
        database = self._database
        as_text = target.suffix.lower() == ".sql" or isinstance(database, PostgresDatabase)
        try:
            if isinstance(database, SqliteDatabase):
                _check_target(target, database)
            with written(target) as part:
                if isinstance(database, PostgresDatabase):
                    write_postgres(database, part)
                elif as_text:
                    write_sqlite(database, part)
                else:
                    copy_sqlite(database, part)
        except BackupError as problem:
            raise BackupError(path, problem.problem) from problem
        except (OSError, StoreError) as problem:
            raise BackupError(path, str(problem)) from problem
        return {
            "path": str(target),
            "bytes": target.stat().st_size,
            "format": "sql" if as_text else "sqlite",
        }

    def rebuild_indices(self) -> None:
        database = self._database
        if isinstance(database, SqliteDatabase):
            with database.pen, translated():
                database.driver().execute("REINDEX")
            return
        # Without holding up anybody who writes; two of these at once would wait for each other.
        with self._holding.hold("maintenance"), database.autocommit() as connection:
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f"REINDEX TABLE CONCURRENTLY {table.name}")

    def update_statistics(self) -> None:
        database = self._database
        if isinstance(database, SqliteDatabase):
            with database.pen, translated():
                driver = database.driver()
                driver.execute(f"PRAGMA analysis_limit = {_ANALYSIS_LIMIT}")
                driver.execute("ANALYZE")
            return
        with database.autocommit() as connection:
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f"ANALYZE {table.name}")


def _check_target(target: Path, database: SqliteDatabase) -> None:
    if target.resolve() == database.path.resolve():
        raise BackupError(str(target), "it is the database itself; name another file")
    log = log_beside(target)
    if log is not None:
        raise BackupError(str(target), f"{log} is there: somebody has that file open")
