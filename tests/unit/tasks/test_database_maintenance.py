"""DatabaseMaintenance: archives by age, keeps the newest backups, and touches no other file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import TaskDefinitionError
from closingbell.tasks.database_maintenance import DatabaseMaintenance, backup_name, surplus
from tests.unit.tasks.desk_rig import DeskRig


def test_maintenance_does_all_its_parts(tmp_path: Path) -> None:
    rig = DeskRig()
    rig.price(AAPL=100)
    rig.buy("AAPL", 1)
    rig.store("AAPL", [100] * 30)
    rig.days(20)
    rig.buy("AAPL", 1)
    done = rig.run(DatabaseMaintenance(keep="10d", backups=tmp_path / "new", prefix="desk"))
    look = rig.algorithm("look")

    assert (done["trades"], done["bars"], done["removed"]) == (1, 30, [])
    assert rig.maintenance.calls == ["rebuild", "statistics", "backup"]
    assert Path(done["backup"]).name == "desk_20260322_210300.sql"
    assert Path(done["backup"]).read_text() == "copy\n"
    assert [len(look.get_trades(archived=archived)) for archived in (False, True)] == [1, 1]


def test_second_maintenance_finds_nothing_more_to_archive(tmp_path: Path) -> None:
    rig = DeskRig()
    rig.price(AAPL=100)
    rig.buy("AAPL", 1)
    rig.days(20)
    task = DatabaseMaintenance(keep="10d", backups=None, rebuild=False)

    assert rig.run(task) == {"trades": 1, "bars": 0}
    assert rig.run(task) == {"trades": 0, "bars": 0}
    assert rig.maintenance.calls == ["statistics", "statistics"]


def test_old_backups_go_when_the_new_one_is_there_and_other_files_stay(tmp_path: Path) -> None:
    rig = DeskRig()
    task = DatabaseMaintenance(backups=tmp_path, keep_backups=2)
    others = [
        "closingbell_notes.sql",
        "other_20200101_000000.sql",
        "closingbell_20200101_000000.sq",
    ]
    for name in others:
        (tmp_path / name).touch()
    for _ in range(4):
        rig.run(task)
        rig.days(1)
    left = sorted(file.name for file in tmp_path.iterdir())

    assert left == sorted(
        [*others, "closingbell_20260304_210000.sql", "closingbell_20260305_210000.sql"]
    )


def test_backup_that_fails_removes_no_older_one(tmp_path: Path) -> None:
    rig = DeskRig()
    task = DatabaseMaintenance(backups=tmp_path, keep_backups=1)
    rig.run(task)
    rig.days(1)
    rig.maintenance.backup = lambda path: (_ for _ in ()).throw(OSError("no space"))  # type: ignore[method-assign]

    with pytest.raises(OSError, match="no space"):
        rig.run(task)
    assert [file.name for file in tmp_path.iterdir()] == ["closingbell_20260302_210000.sql"]


@given(
    st.sets(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)), max_size=20),  # noqa: DTZ001
    st.integers(1, 25),
)
def test_newest_backups_are_kept_in_any_folder(moments: set[datetime], keep: int) -> None:
    names = {backup_name("desk", at) for at in moments}
    gone = set(surplus([*names, "readme.txt"], "desk", keep))
    kept = names - gone

    assert len(kept) == min(keep, len(names))
    assert not gone or max(gone) < min(kept)
    assert gone <= names


def test_no_backup_to_keep_is_refused_at_once() -> None:
    with pytest.raises(TaskDefinitionError, match="keep_backups is 0"):
        DatabaseMaintenance(keep_backups=0)


def test_time_that_is_kept_may_be_a_timedelta() -> None:
    assert DatabaseMaintenance(keep=timedelta(days=3)).keep == timedelta(days=3)
