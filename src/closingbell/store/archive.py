"""StoredArchive: what is old goes to Parquet before it is pruned, and nothing goes twice.

A file is made in three steps, each of which is known after a crash. "Begun" is written down first:
what the file then holds may be cut off, and is thrown away. Once it is whole it is "written": it is
now where its rows are, and those are pruned, a few at a time. Then it is "done". Who comes
after a crash goes on from the step that was reached.

Only whole days of UTC are archived, so that a quiet desk makes one file a day and not one a minute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, or_, select, update

from closingbell.core.clock import Clock, from_micros, to_micros
from closingbell.store.archive_place import ArchivePlace, sha256_of
from closingbell.store.archive_rows import (
    CHUNK,
    KINDS,
    Kind,
    Row,
    arrow_schema,
    pages,
    prune,
)
from closingbell.store.archive_schema import archives
from closingbell.store.database import Database
from closingbell.store.ended import ended, ended_tasks, newest_of
from closingbell.store.holding import Holding
from closingbell.store.masks import StoredMasks
from closingbell.store.schema import facts, runs

#: A file holds so many rows at most.
FILE_ROWS = 50_000


class Cut(NamedTuple):
    """Before when what is old. Instants are microseconds.

    Attributes:
        runs: of tasks that keep their runs for another time than the rest, by task.
        others: of the rest of the runs, of events, alerts and notifications.
        firings: of the ticks of schedules.
    """

    runs: Mapping[str, int]
    others: int
    firings: int


class StoredArchive:
    """Archives, prunes and lists."""

    def __init__(
        self, database: Database, clock: Clock, holding: Holding, masks: StoredMasks
    ) -> None:
        self._database = database
        self._clock = clock
        self._holding = holding
        self._masks = masks

    def files(self) -> list[dict[str, Any]]:
        """Return the manifest: every file, by kind and month."""
        query = select(archives).order_by(archives.c.kind, archives.c.month, archives.c.file)
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def due(self, cut: Cut) -> dict[str, int]:
        """Return how many rows of each kind are old, and not archived."""
        cut = _whole_days(cut)
        with self._database.reading() as connection:
            return {
                name: connection.execute(
                    select(func.count())
                    .select_from(kind.table)
                    .where(self._old(connection, kind, cut), kind.old)
                ).scalar_one()
                for name, kind in KINDS.items()
            }

    def archive(
        self, root: str, cut: Cut, go_on: Callable[[], bool] = lambda: True
    ) -> dict[str, int]:
        """Archive what is old, and prune it; audit records are copied and stay.

        Args:
            root: see `ArchivePlace`.
            cut: before when what is old; each instant is taken back to the beginning of its day.
            go_on: asked between pages; False ends with what is whole.

        Returns:
            How many rows of each kind went to new files.

        Raises:
            ArchiveError: a file cannot be written or read; nothing that it should hold is pruned.
            StoreError: the database does not answer.
        """
        place, cut = ArchivePlace(root), _whole_days(cut)
        gone = dict.fromkeys(KINDS, 0)
        with self._holding.hold("archive"):
            self._go_on_after_a_crash(place)
            for name, kind in KINDS.items():
                while go_on():
                    rows = self._one_file(place, kind, cut, go_on)
                    if not rows:
                        break
                    gone[name] += rows
        return gone

    # --- one file ------------------------------------------------------------------------

    def _one_file(
        self, place: ArchivePlace, kind: Kind, cut: Cut, go_on: Callable[[], bool]
    ) -> int:
        window = self._next_window(kind, cut)
        if window is None:
            return 0
        month, condition = window
        # The store's id keeps apart what several databases put into one folder.
        stamp = f"{from_micros(self._clock.machine_micros()):%Y%m%dT%H%M%S}-{os.urandom(4).hex()}"
        file = f"{self._store_id()}/{kind.name}/{month}/{stamp}.parquet"
        with self._database.writing() as connection:
            connection.execute(
                insert(archives).values(
                    file=file,
                    kind=kind.name,
                    month=month,
                    state="begun",
                    begun_at=self._clock.micros(),
                )
            )
        facts_of_file = self._write(place, file, kind, condition, go_on)
        self._mark(file, state="written", **facts_of_file)
        self._prune(place, file, kind)
        return int(facts_of_file["rows"])

    def _next_window(self, kind: Kind, cut: Cut) -> tuple[str, Any] | None:
        """Return the month of the oldest row that is old, and which rows of it are meant."""
        with self._database.reading() as connection:
            old = self._old(connection, kind, cut)
            query = select(func.min(kind.at)).where(old, kind.old)
            if kind.name == "audit":
                # By number: an audit record is filed where its number leads, whatever its clock said.
                query = select(kind.at).where(old).order_by(kind.keys[0]).limit(1)
            first = connection.execute(query).scalar()
        if first is None:
            return None
        begin = from_micros(first).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = to_micros((begin + timedelta(days=32)).replace(day=1))
        # Of records of several months only those of one go into a file; a clock that was set
        # back files a few with the month before.
        return f"{begin:%Y-%m}", and_(old, kind.at < end)

    def _old(self, connection: Any, kind: Kind, cut: Cut) -> Any:
        match kind.name:
            case "runs":
                parts = [
                    and_(
                        runs.c.task == task,
                        ended(),
                        runs.c.finished_at < cut.runs.get(task, cut.others),
                        # The run of a task that ended last is kept for ever.
                        runs.c.finished_at < newest_of(task),
                    )
                    for task in ended_tasks(connection)
                ]
                return or_(False, *parts)
            case "firings":
                return kind.at < cut.firings
            case "audit":
                last = select(func.coalesce(func.max(archives.c.last_seq), 0)).where(
                    archives.c.kind == "audit", archives.c.state != "begun"
                )
                return and_(kind.keys[0] > last.scalar_subquery(), kind.at < cut.others)
            case _:
                return kind.at < cut.others

    def _write(
        self,
        place: ArchivePlace,
        file: str,
        kind: Kind,
        condition: Any,
        go_on: Callable[[], bool],
    ) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema, masks = arrow_schema(kind), self._hidden(kind)
        written = {"rows": 0, "first_at": None, "last_at": None, "last_seq": None}
        with place.writing(file) as part:
            with pq.ParquetWriter(part, schema, compression="zstd") as writer:
                for rows in self._pages(kind, condition, masks):
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    _count(written, kind, rows)
                    if (written["rows"] or 0) >= FILE_ROWS or not go_on():
                        break
            with part.open("rb") as stream:
                digest = sha256_of(stream)
            size = part.stat().st_size
        return {**written, "sha256": digest, "bytes": size}

    def _hidden(self, kind: Kind) -> Mapping[str, Sequence[str]]:
        """Return the masked fields by what names them in a row: its task, or its type of event."""
        return self._masks.by_event() if kind.name == "events" else self._masks.all()

    def _pages(self, kind: Kind, condition: Any, masks: Mapping[str, Any]) -> Iterator[list[Row]]:
        with self._database.reading() as connection:
            yield from pages(connection, kind, condition, masks)

    def _prune(self, place: ArchivePlace, file: str, kind: Kind) -> None:
        """Delete the rows that a whole file holds, and say so."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if kind.name != "audit":
            names = [*dict.fromkeys(column.name for column in (*kind.keys, kind.at))]
            with place.reading(file) as stream:
                for batch in pq.ParquetFile(stream).iter_batches(CHUNK, columns=names):
                    at = batch.schema.get_field_index(kind.at.name)
                    micros = batch.set_column(at, kind.at.name, batch.column(at).cast(pa.int64()))
                    with self._database.writing() as connection:
                        prune(connection, kind, micros.to_pylist())
        self._mark(file, state="done")

    def _mark(self, file: str, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(archives).where(archives.c.file == file).values(values))

    def _go_on_after_a_crash(self, place: ArchivePlace) -> None:
        for row in self.files():
            if row["state"] == "begun":
                # Cut off, perhaps; all its rows are in the database still.
                place.remove(row["file"])
                with self._database.writing() as connection:
                    connection.execute(delete(archives).where(archives.c.file == row["file"]))
            elif row["state"] == "written":
                self._prune(place, row["file"], KINDS[row["kind"]])

    def _store_id(self) -> str:
        with self._database.reading() as connection:
            query = select(facts.c.value).where(facts.c.name == "store_id")
            return str(connection.execute(query).scalar_one())


def _count(written: dict[str, Any], kind: Kind, rows: list[Row]) -> None:
    instants = [row[kind.at.name] for row in rows]
    written["rows"] += len(rows)
    written["first_at"] = min(instants + ([written["first_at"]] if written["first_at"] else []))
    written["last_at"] = max(instants + ([written["last_at"]] if written["last_at"] else []))
    if kind.name == "audit":
        written["last_seq"] = rows[-1]["seq"]


def _whole_days(cut: Cut) -> Cut:
    def day(micros: int) -> int:
        at = from_micros(micros)
        return to_micros(datetime(at.year, at.month, at.day, tzinfo=UTC))

    return Cut({task: day(at) for task, at in cut.runs.items()}, day(cut.others), day(cut.firings))
