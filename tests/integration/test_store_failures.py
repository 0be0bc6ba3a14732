"""A store that is locked, full, read-only, gone or restarting says so, and then works again."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from closingbell.core.error import StoreError, StoreFull, StoreReadOnly, StoreUnavailable
from closingbell.core.port import Firing
from closingbell.store import postgres_link
from closingbell.store.database import SqliteDatabase
from closingbell.store.store import Store
from tests.conformance.desk import Desk, FakeClaimer
from tests.postgres import PostgresServer


def _refused(kind: type[StoreError], *verbs: Callable[[], Any]) -> list[str]:
    """Each verb fails with that kind of error; returns the sentences."""
    said = []
    for verb in verbs:
        with pytest.raises(kind) as refused:
            verb()
        assert refused.value.retryable
        said.append(str(refused.value))
    return said


def _works(desk: Desk) -> None:
    """Everything that the desk holds is settled, and new runs go through."""
    desk.queue.exchange()
    run_id = desk.submit_one()
    while desk.queue.exchange():
        pass
    assert run_id in desk.claimer.ids
    desk.claimer.ended += [desk.settle(claim) for claim in desk.claimer.claims]
    desk.queue.exchange()
    assert desk.state(run_id) == "success"
    assert not desk.claimer.stale


@pytest.fixture
def sqlite_desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk on a SQLite file, with an attached claimer that holds a run."""
    desk = Desk(f"sqlite:///{tmp_path / 'desk.db'}")
    # Shorter than the ten seconds of every day.
    desk.store.close()
    desk.store = Store(SqliteDatabase(desk.address, busy_timeout_s=0.2), desk.clock)
    desk.queue = desk.store.queue
    yield from _holding(desk)


def _holding(desk: Desk) -> Iterator[Desk]:
    desk.queue.attach(desk.claimer)
    desk.submit()
    assert len(desk.claimer.claims) == 1
    try:
        yield desk
    finally:
        desk.queue.detach(desk.claimer)
        desk.close()


# --- SQLite ------------------------------------------------------------------------------


def test_sqlite_locked_by_another_process_past_the_busy_timeout_is_unavailable_until_it_is_free(
    sqlite_desk: Desk,
) -> None:
    desk = sqlite_desk
    held = desk.claimer.ids[0]
    other = sqlite3.connect(desk.address.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
    said = _refused(
        StoreUnavailable,
        desk.submit,
        desk.queue.exchange,
        lambda: desk.queue.promote(desk.now),
        lambda: desk.store.workers.leave("w1", desk.now),
    )
    assert all("locked" in sentence for sentence in said)
    assert len(desk.claimer.ended) == 1
    # Reading goes on.
    assert desk.state(held) == "running"
    other.execute("ROLLBACK")
    other.close()
    desk.queue.exchange()
    assert desk.state(held) == "success"
    _works(desk)


def test_sqlite_file_removed_is_unavailable_until_it_is_put_back(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    desk = sqlite_desk
    file = tmp_path / "desk.db"
    file.rename(tmp_path / "away.db")
    said = _refused(
        StoreUnavailable,
        desk.submit,
        desk.queue.exchange,
        desk.store.runs.counts,
        lambda: desk.store.workers.leave("w1", desk.now),
    )
    assert all("desk.db is gone" in sentence for sentence in said)
    assert not file.exists()
    (tmp_path / "away.db").rename(file)
    _works(desk)
    assert desk.store.runs.counts()["success"] == 2


def test_sqlite_file_removed_while_nothing_is_connected_is_not_made_anew(
    sqlite_desk: Desk, tmp_path: Path
) -> None:
    desk = sqlite_desk
    desk.store.database.close()
    file = tmp_path / "desk.db"
    file.rename(tmp_path / "away.db")
    _refused(StoreUnavailable, desk.submit, desk.store.runs.counts)
    assert not file.exists()
    (tmp_path / "away.db").rename(file)
    _works(desk)


def test_sqlite_file_replaced_by_another_is_opened_anew(sqlite_desk: Desk, tmp_path: Path) -> None:
    desk = sqlite_desk
    other = Desk(f"sqlite:///{tmp_path / 'other.db'}")
    theirs = other.submit_one()
    other.close()
    for path in tmp_path.glob("desk.db*"):
        path.unlink()
    (tmp_path / "other.db").rename(tmp_path / "desk.db")
    desk.claimer.claims = []
    desk.queue.exchange()
    assert desk.claimer.ids == [theirs]
    assert desk.state(theirs) == "running"


def test_sqlite_database_that_may_not_grow_is_full_until_it_may(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    held = desk.claimer.ids[0]
    database = desk.store.database
    assert isinstance(database, SqliteDatabase)
    with database.pen:
        driver = database.driver()
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull, match="free some space, and the work goes on"):
        desk.submit(5_000)
    assert desk.store.runs.counts()["pending"] == 0
    with database.pen:
        database.driver().execute("PRAGMA max_page_count = 1000000")
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
    _works(desk)
    assert desk.state(held) == "success"


# --- disks of our own --------------------------------------------------------------------


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(desk: Desk) -> str:
    def submit_without_end() -> None:
        while True:
            desk.queue.submit(desk.template(), desk.items(50, payload='"' + "x" * 500 + '"'))

    with pytest.raises(StoreFull) as refused:
        submit_without_end()
    return str(refused.value)


def test_sqlite_on_a_full_disk_says_so_and_works_when_there_is_room(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk", "8m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 4 * 2**20)
        desk = Desk(f"sqlite:///{disk / 'desk.db'}")
        desk.claimer.free = {"async": 1}
        for _ in _holding(desk):
            assert "full" in _fill(desk)
            ballast.unlink()
            before = desk.store.runs.counts()["pending"]
            desk.submit()
            assert desk.store.runs.counts()["pending"] == before + 1
            held = desk.claimer.ids[0]
            desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
            desk.queue.exchange()
            assert desk.state(held) == "success"


def test_sqlite_on_a_disk_that_became_read_only_says_so(tmp_path: Path) -> None:
    with _disk(tmp_path / "disk", "8m") as disk:
        desk = Desk(f"sqlite:///{disk / 'desk.db'}")
        run_id = desk.submit_one()
        desk.close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        _refused(StoreReadOnly, desk.submit, lambda: desk.store.workers.leave("w1", 1))
        desk.close()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        desk.submit()
        assert desk.state(run_id) == "pending"
        desk.close()


@pytest.mark.postgres
def test_postgres_on_a_full_disk_says_so_and_works_when_there_is_room(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with _disk(tmp_path / "disk", "24m") as disk:
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(folder.stat().st_mode | 0o011)
        place = disk / "place"
        place.mkdir()
        nobody = pwd.getpwnam("nobody")
        os.chown(place, nobody.pw_uid, nobody.pw_gid)
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 8 * 2**20)
        address = own_postgres.address().replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            connection.execute(b"CREATE DATABASE small TABLESPACE small")
        desk = Desk(own_postgres.address("small"))
        assert "No space left" in _fill(desk)
        ballast.unlink()
        desk.queue.attach(desk.claimer)
        desk.claimer.free = {"async": 1}
        desk.queue.exchange()
        desk.claimer.ended.append(desk.settle(desk.claimer.claims[0]))
        desk.queue.exchange()
        assert desk.store.runs.counts()["success"] == 1
        desk.close()
        own_postgres.stop()


# --- PostgreSQL --------------------------------------------------------------------------


@pytest.fixture
def postgres_desk(own_postgres: PostgresServer) -> Iterator[Desk]:
    """A desk on a server of its own, with an attached claimer that holds a run."""
    yield from _holding(Desk(own_postgres.address(own_postgres.create_database())))


@pytest.mark.postgres
@pytest.mark.parametrize("crash", [False, True])
def test_postgres_that_restarts_is_unavailable_and_then_works_again(
    postgres_desk: Desk, own_postgres: PostgresServer, crash: bool
) -> None:
    desk = postgres_desk
    held = desk.claimer.ids[0]
    woken = threading.Event()
    desk.queue.listen(woken.set)
    own_postgres.stop(crash=crash)
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
    for _ in range(2):
        _refused(
            StoreUnavailable,
            desk.submit,
            lambda: desk.submit(3),
            desk.queue.exchange,
            lambda: desk.queue.promote(desk.now),
            desk.queue.next_due,
            desk.store.runs.counts,
            lambda: desk.store.workers.leave("w1", desk.now),
        )
    assert len(desk.claimer.ended) == 1
    woken.clear()
    own_postgres.start()
    _works(desk)
    assert desk.state(held) == "success"
    assert desk.store.runs.get(held).fence == 1
    # The listener came back by itself, and hears.
    assert woken.wait(10)
    woken.clear()
    other = Desk(desk.address)
    other.submit()
    assert woken.wait(10)
    other.close()


@pytest.mark.postgres
def test_postgres_backends_killed_cost_one_refusal_at_most(postgres_desk: Desk) -> None:
    desk = postgres_desk
    held = desk.claimer.ids[0]
    desk.submit(3)
    with psycopg.connect(desk.address.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
    with pytest.raises(StoreUnavailable):
        desk.queue.exchange()
    _works(desk)
    assert desk.state(held) == "success"
    assert desk.store.runs.counts()["success"] == 1 + 3 + 1


@pytest.mark.postgres
def test_postgres_that_became_read_only_says_so_until_it_is_not(postgres_desk: Desk) -> None:
    desk = postgres_desk
    held = desk.claimer.ids[0]

    def switch(value: str) -> None:
        with psycopg.connect(desk.address.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
            connection.execute(b"SELECT pg_reload_conf()")
            connection.execute(b"SELECT pg_sleep(0.2)")

    switch("on")
    desk.claimer.ended.append(desk.settle(desk.claimer.claim(held)))
    _refused(
        StoreReadOnly,
        desk.submit,
        lambda: desk.submit(3),
        desk.queue.exchange,
        lambda: desk.store.workers.leave("w1", desk.now),
    )
    assert desk.state(held) == "running"
    switch("off")
    _works(desk)
    assert desk.state(held) == "success"


class _LosesTheAnswer:
    """A connection whose statement is committed and whose answer never arrives."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, *args: Any) -> Any:
        self._connection.execute(*args)
        self._connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@contextmanager
def _answers_lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened = postgres_link.Link.open

    @contextmanager
    def lossy(link: postgres_link.Link) -> Iterator[Any]:
        with opened(link) as connection:
            yield _LosesTheAnswer(connection)

    with monkeypatch.context() as patch:
        patch.setattr(postgres_link.Link, "open", lossy)
        yield


@pytest.mark.postgres
def test_postgres_exchange_whose_answer_was_lost_counts_once(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(postgres_address)
    first = desk.submit(3)
    second = desk.submit(2)
    desk.claimer.free = {"async": 3}
    desk.queue.attach(desk.claimer)
    desk.queue.exchange()
    plain, logged, again = desk.claimer.claims
    desk.claimer.ended += [
        desk.settle(plain),
        desk.settle(logged, logs=(("stdout", "once"),)),
        desk.settle(again, "scheduled", due_at=desk.now, ledger=True, error="{}"),
    ]
    with _answers_lost(monkeypatch), pytest.raises(StoreUnavailable):
        desk.queue.exchange()
    assert len(desk.claimer.ended) == 3
    assert desk.states(first) == ["success", "success", "scheduled"]
    assert desk.states(second) == ["running", "running"]
    desk.queue.exchange()
    assert not desk.claimer.stale
    assert not desk.claimer.ended
    assert sorted(desk.claimer.ids) == second
    assert [claim.fence for claim in desk.claimer.claims] == [1, 1]
    assert [line["text"] for line in desk.store.runs.logs(logged.id)] == ["once"]
    assert len(desk.store.runs.get(again.id).attempts) == 1
    desk.queue.detach(desk.claimer)
    desk.close()


@pytest.mark.postgres
def test_postgres_submission_whose_answer_was_lost_is_delivered_and_can_be_repeated(
    postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(postgres_address)
    desk.queue.attach(desk.claimer)
    [item] = desk.items(1)
    with _answers_lost(monkeypatch), pytest.raises(StoreUnavailable):
        desk.queue.submit(desk.template(), [item])
    assert desk.claimer.ids == []
    assert desk.queue.submit(desk.template(), [item]) == [item.id]
    desk.queue.exchange()
    assert desk.claimer.ids == [item.id]
    assert desk.claimer.claims[0].fence == 1
    desk.queue.detach(desk.claimer)
    desk.close()


@pytest.mark.postgres
def test_postgres_notices_come_to_another_process_without_a_poll(postgres_address: str) -> None:
    desk, other = Desk(postgres_address), Desk(postgres_address)
    woken = threading.Event()
    desk.queue.listen(woken.set)
    assert woken.wait(10)
    for count, state in ((1, "pending"), (3, "pending"), (1, "scheduled")):
        woken.clear()
        other.submit(count, state=state)
        assert woken.wait(10)
    woken.clear()
    other.store.schedules.put("s", "risk_scan", "{}", "app", other.now, other.now)
    assert woken.wait(10)
    woken.clear()
    [item] = other.items(1)
    tick = Firing(other.now, "ran", template=other.template(schedule_id="s"), item=item)
    other.store.schedules.fire("s", 1, [tick], None, other.now)
    assert woken.wait(10)
    desk.close()
    other.close()


def test_claimers_of_two_queues_are_served_apart(sqlite_address: str) -> None:
    desk, other = Desk(sqlite_address), Desk(sqlite_address)
    mine, theirs = desk.claimer, FakeClaimer("w2")
    desk.queue.attach(mine)
    other.queue.attach(theirs)
    run_id = other.submit_one()
    assert (mine.ids, theirs.ids) == ([], [run_id])
    for one in (desk, other):
        one.close()


def test_error_of_the_schema_is_no_outage(sqlite_address: str) -> None:
    desk = Desk(sqlite_address)
    with desk.store.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE alerts"))
    with pytest.raises(StoreError, match="no closingbell schema") as refused:
        desk.store.alerts.open()
    assert not refused.value.retryable
    desk.close()
