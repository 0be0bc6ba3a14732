"""DatabaseMaintenance: puts old data away, cares for indexes, and keeps backups."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from closingbell.core.error import TaskDefinitionError
from closingbell.option import Duration, read_positive
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm

_STAMP = "%Y%m%d_%H%M%S"


def backup_name(prefix: str, at: datetime) -> str:
    """Return the name of a backup's file; names sort by their time."""
    return f"{prefix}_{at.strftime(_STAMP)}.sql"


def surplus(names: Iterable[str], prefix: str, keep: int) -> list[str]:
    """Return which backups may go, so that the newest `keep` stay; other files are not named.

    Args:
        names: of the files in a folder.
        prefix: of the backups' names.
        keep: how many, 1 or more.
    """
    shape = re.compile(rf"{re.escape(prefix)}_\d{{8}}_\d{{6}}\.sql", re.ASCII)
    return sorted(name for name in names if shape.fullmatch(name))[:-keep]


class DatabaseMaintenance(ReadyTask):
    """Archive what is old, rebuild indexes, renew statistics, write a backup, remove old ones.

    A backup is written while others go on writing, and is there whole or not at all; old ones go
    only after the new one is there. `closingbell.store.restore` makes a database of one again.
    """

    def __init__(
        self,
        *,
        keep: Duration = "365d",
        backups: str | Path | None = "backups",
        keep_backups: int = 7,
        prefix: str = "closingbell",
        rebuild: bool = True,
        name: str = "database_maintenance",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs at 03:00 unless `options` say when.

        Args:
            keep: trades and bars that are older are archived: still there, no longer in the way.
            backups: the folder of the backups, made when it is missing; None = no backups.
            keep_backups: how many stay.
            prefix: of the backups' names; two desks may share a folder.
            rebuild: rebuild all indexes; on PostgreSQL that takes its time.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: `keep_backups` is below 1, or an option cannot be read.
        """
        default: TaskOptions = {"interval": "daily", "time": "03:00", "tags": ["desk"]}
        super().__init__(name, {**default, "timeout": "1h", "overlap": "skip"}, options)
        if keep_backups < 1:
            raise TaskDefinitionError(name, f"keep_backups is {keep_backups}: expected 1 or more")
        self.keep = read_positive(name, "keep", keep)
        self.backups = None if backups is None else Path(backups)
        self.keep_backups = keep_backups
        self.prefix = prefix
        self.rebuild = rebuild

    def run(self, algorithm: Algorithm) -> dict[str, Any]:
        """Do all of it; return how many `trades` and `bars` were archived, and the backup's file."""
        cutoff = algorithm.now() - self.keep
        trades = algorithm.archive_trades(algorithm.get_trades(before_date=cutoff))
        bars = algorithm.archive_market_data(before_date=cutoff)
        if self.rebuild:
            algorithm.rebuild_database_indices()
        algorithm.update_database_statistics()
        done = {"trades": trades, "bars": bars}
        return {**done, **(self._backup(algorithm, self.backups) if self.backups else {})}

    def _backup(self, algorithm: Algorithm, folder: Path) -> dict[str, Any]:
        target = folder / backup_name(self.prefix, algorithm.now())
        written = algorithm.backup_database(str(target))
        if algorithm.mode == "backtest":
            # Nothing was written, and so nothing goes.
            return {}
        gone = surplus((file.name for file in folder.iterdir()), self.prefix, self.keep_backups)
        for name in gone:
            (folder / name).unlink(missing_ok=True)
        return {"backup": written["path"], "bytes": written["bytes"], "removed": gone}
