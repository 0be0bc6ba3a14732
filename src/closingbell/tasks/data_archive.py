"""DataArchive: puts bars away that nobody looks back to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Unpack

from closingbell.option import Duration, read_positive
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm


class DataArchive(ReadyTask):
    """Archive bars that are older than what is kept; they are not deleted."""

    def __init__(
        self,
        *,
        keep: Duration = "730d",
        symbols: Collection[str] | None = None,
        name: str = "data_archive",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs on Sundays at 02:00 unless `options` say when.

        Args:
            keep: bars that are over for longer are put away.
            symbols: only theirs; None = all.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an option cannot be read.
        """
        default: TaskOptions = {"interval": "weekly", "day": "SUN", "time": "02:00"}
        super().__init__(name, {**default, "tags": ["data"]}, options)
        self.keep = read_positive(name, "keep", keep)
        self.symbols = None if symbols is None else list(symbols)

    def run(self, algorithm: Algorithm) -> dict[str, int]:
        """Put bars away; return how many `bars`."""
        before = algorithm.now() - self.keep
        return {"bars": algorithm.archive_market_data(before, self.symbols)}
