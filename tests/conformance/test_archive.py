"""What is old is archived before it is pruned, once, whatever happens in between; on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from closingbell.core.clock import to_micros
from closingbell.core.error import ArchiveError, SettingError
from closingbell.store.archive import Cut
from closingbell.store.archive_place import ArchivePlace
from closingbell.store.archive_rows import prune
from closingbell.store.audit_schema import audit_records
from closingbell.store.schema import events, firings, runs
from tests.conformance.desk import Desk

DAY_S = 86_400.0


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    made = Desk(store_address)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def _cut(desk: Desk) -> Cut:
    return Cut({}, desk.now, desk.now)


def _archive(desk: Desk, folder: Path) -> dict[str, int]:
    return desk.store.archive.archive(str(folder), _cut(desk))


def _ended(desk: Desk, count: int, **changes: Any) -> list[str]:
    """Runs that succeeded now, and a later one that is kept as the task's last."""
    ids = desk.submit(count, **changes)
    for run_id in ids:
        desk.finish(run_id)
    desk.advance(DAY_S)
    desk.finish(desk.submit_one(**changes))
    desk.advance(DAY_S)
    return ids


def _lines(desk: Desk, folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the finished files of a kind hold, as the manifest names them."""
    return [
        line
        for row in desk.store.archive.files()
        if row["kind"] == kind and row["state"] == "done"
        for line in pq.read_table(folder / row["file"]).to_pylist()
    ]


def _ids(desk: Desk) -> set[str]:
    with desk.store.database.reading() as connection:
        return set(connection.execute(sa.select(runs.c.id)).scalars())


def _execute(desk: Desk, statement: Any) -> None:
    with desk.store.database.writing() as connection:
        connection.execute(statement)


def test_ended_runs_go_to_a_file_of_their_month_and_leave_the_database(
    desk: Desk, folder: Path
) -> None:
    ids = _ended(desk, 3)
    assert _archive(desk, folder)["runs"] == 3
    lines = _lines(desk, folder, "runs")
    assert [line["id"] for line in lines] == sorted(ids)
    (kept,) = _ids(desk)
    assert kept not in ids
    (row,) = [row for row in desk.store.archive.files() if row["kind"] == "runs"]
    at = lines[0]["finished_at"]
    assert row["month"] == f"{at:%Y-%m}"
    assert f"/runs/{row['month']}/" in row["file"]
    assert row["rows"] == 3
    assert (row["first_at"], row["last_at"]) == (to_micros(at), to_micros(lines[-1]["finished_at"]))
    assert row["bytes"] == (folder / row["file"]).stat().st_size


def test_run_is_archived_with_its_attempts_and_what_it_printed(desk: Desk, folder: Path) -> None:
    (run_id,) = desk.submit(1)
    desk.work()
    claim = desk.claimer.claim(run_id)
    desk.end(
        claim, "scheduled", outcome="raised", due_at=desk.now, ledger=True, error='{"type": "E"}',
        logs=(("stdout", "first"),),
    )  # fmt: skip
    desk.store.queue.promote(desk.now)
    desk.finish(run_id, logs=(("stdout", "second"),))
    desk.advance(DAY_S)
    desk.finish(desk.submit_one())
    desk.advance(DAY_S)
    _archive(desk, folder)
    (line,) = _lines(desk, folder, "runs")
    (attempt,) = json.loads(line["attempts"])
    assert (attempt["outcome"], json.loads(attempt["error"])) == ("raised", {"type": "E"})
    assert [piece["text"] for piece in json.loads(line["logs"])] == ["first", "second"]


def test_masked_fields_stay_masked_in_the_archive(desk: Desk, folder: Path) -> None:
    task = desk.template().task
    desk.store.masks.put_all({task: ("api_key",)})
    ids = _ended(desk, 1)
    payload = json.dumps({"api_key": "hunter2", "n": 1})
    _execute(desk, sa.update(runs).where(runs.c.id == ids[0]).values(payload=payload))
    _archive(desk, folder)
    (line,) = _lines(desk, folder, "runs")
    assert json.loads(line["payload"]) == {"api_key": "•••", "n": 1}


def test_only_whole_days_are_archived(desk: Desk, folder: Path) -> None:
    desk.finish(desk.submit_one())
    desk.advance(1)
    desk.finish(desk.submit_one())
    desk.advance(1)
    assert _archive(desk, folder)["runs"] == 0


def test_runs_of_two_months_go_to_two_files(desk: Desk, folder: Path) -> None:
    _ended(desk, 1)
    desk.advance(40 * DAY_S)
    _ended(desk, 1)
    assert _archive(desk, folder)["runs"] == 3
    months = [row["month"] for row in desk.store.archive.files() if row["kind"] == "runs"]
    assert len(set(months)) == len(months) == 2


def test_events_and_firings_are_archived_and_audit_records_stay(desk: Desk, folder: Path) -> None:
    at = desk.now
    _execute(desk, sa.insert(events).values(id="e", type="t", data="{}", happened_at=at, runs=0))
    _execute(
        desk,
        sa.insert(firings).values(
            schedule_id="s", fire_at=at, outcome="skipped", reason="paused", noted_at=at
        ),
    )
    desk.store.audit.append("task.paused", "task", "x")
    with desk.store.database.reading() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(audit_records)).scalar()
    desk.advance(2 * DAY_S)
    gone = _archive(desk, folder)
    assert (gone["events"], gone["firings"]) == (1, 1)
    assert gone["audit"] == count
    assert count
    (event,) = _lines(desk, folder, "events")
    assert event["happened_at"] == datetime.fromtimestamp(at / 1_000_000, UTC)
    (tick,) = _lines(desk, folder, "firings")
    assert (tick["schedule_id"], tick["reason"]) == ("s", "paused")
    assert desk.store.audit.verify().records == count
    # Copied once.
    assert _archive(desk, folder)["audit"] == 0
    assert len(_lines(desk, folder, "audit")) == count


def test_crash_while_rows_are_pruned_loses_and_doubles_nothing(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = _ended(desk, 30)
    monkeypatch.setattr("closingbell.store.archive.CHUNK", 7)
    calls = 0

    def die(*arguments: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return prune(*arguments)

    monkeypatch.setattr("closingbell.store.archive.prune", die)
    with pytest.raises(KeyboardInterrupt):
        _archive(desk, folder)
    left = _ids(desk) & set(ids)
    assert 0 < len(left) < 30
    _archive(desk, folder)
    assert sorted(line["id"] for line in _lines(desk, folder, "runs")) == sorted(ids)
    assert _ids(desk) & set(ids) == set()


def test_crash_while_a_file_is_written_leaves_all_rows_and_the_next_one_has_them_once(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = _ended(desk, 5)
    with monkeypatch.context() as patch:

        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(desk.store.archive, "_mark", die)
        with pytest.raises(KeyboardInterrupt):
            _archive(desk, folder)
    (begun,) = desk.store.archive.files()
    assert begun["state"] == "begun"
    # Whole, as it happens; who comes later cannot know.
    assert (folder / begun["file"]).exists()
    assert set(ids) < _ids(desk)
    _archive(desk, folder)
    assert not (folder / begun["file"]).exists()
    assert sorted(line["id"] for line in _lines(desk, folder, "runs")) == sorted(ids)


def test_run_that_is_retried_meanwhile_stays(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = _ended(desk, 2)

    def retry_first(*arguments: Any) -> int:
        monkeypatch.setattr("closingbell.store.archive.prune", prune)
        again = {"state": "pending", "finished_at": None}
        arguments[0].execute(sa.update(runs).where(runs.c.id == ids[0]).values(again))
        return prune(*arguments)

    monkeypatch.setattr("closingbell.store.archive.prune", retry_first)
    _archive(desk, folder)
    assert ids[0] in _ids(desk)
    assert ids[1] not in _ids(desk)


def test_archive_that_cannot_be_written_prunes_nothing(desk: Desk, tmp_path: Path) -> None:
    ids = _ended(desk, 2)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveError, match="nothing was pruned"):
        _archive(desk, tmp_path / "file")
    assert set(ids) < _ids(desk)


def test_address_that_nobody_knows_is_refused(desk: Desk) -> None:
    with pytest.raises(SettingError, match="archive"):
        desk.store.archive.archive("gopher://x/y", _cut(desk))


def test_object_store_is_written_read_and_swept_as_a_folder_is() -> None:
    # pyarrow's stand-in for an object store, in memory.
    place = ArchivePlace("mock:///bucket")
    with place.writing("runs/a.parquet") as part:
        part.write_bytes(b"whole")
    with place.reading("runs/a.parquet") as stream:
        assert stream.read() == b"whole"
    place.remove("runs/a.parquet")
    place.remove("runs/a.parquet")
    with pytest.raises(ArchiveError), place.reading("runs/a.parquet"):
        pass


def test_what_is_due_is_counted_without_being_touched(desk: Desk, folder: Path) -> None:
    ids = _ended(desk, 2)
    assert desk.store.archive.due(_cut(desk))["runs"] == 2
    assert set(ids) < _ids(desk)
    assert not folder.exists()
