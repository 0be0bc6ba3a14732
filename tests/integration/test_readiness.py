"""`/readyz` tells the truth about the store, soon after it changes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from closingbell import create_app
from closingbell.api.server import ApiServer
from closingbell.app import App
from tests.postgres import PostgresServer

SOON_S = 2.0


@contextmanager
def served(
    address: str, *, worker: bool = False, scheduler: bool = False
) -> Iterator[tuple[App, httpx.Client]]:
    app = create_app(address, guardian=False)
    try:
        with (
            app.running(worker=worker, scheduler=scheduler),
            ApiServer(app, port=0) as server,
            httpx.Client(base_url=server.url, timeout=10) as client,
        ):
            yield app, client
    finally:
        app.stop()


def told_within(client: httpx.Client, status: int, within_s: float = SOON_S) -> list[str]:
    """Return the reasons once the answer has a status; fail when it takes too long."""
    deadline = time.monotonic() + within_s
    while True:
        asked_at = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - asked_at < SOON_S
        if answer.status_code == status:
            assert answer.json()["ready"] is (status == 200)
            return list(answer.json()["reasons"])
        assert time.monotonic() < deadline, answer.text


def test_readiness_of_a_sound_store_needs_no_sign_in(store_address: str) -> None:
    with served(store_address) as (_, client):
        assert client.get("/readyz").json() == {"ready": True, "reasons": []}


@pytest.mark.postgres
def test_readiness_follows_a_postgresql_that_dies_and_returns(
    own_postgres: PostgresServer,
) -> None:
    address = own_postgres.address(own_postgres.create_database())
    with served(address) as (_, client):
        told_within(client, 200)
        own_postgres.stop(crash=True)
        assert told_within(client, 503)
        assert client.get("/livez").status_code == 200
        own_postgres.start()
        told_within(client, 200)


def test_readiness_says_that_a_sqlite_file_is_gone_and_is_back(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    with served(f"sqlite:///{file}") as (_, client):
        told_within(client, 200)
        aside = tmp_path / "aside.db"
        file.rename(aside)
        assert "is gone" in told_within(client, 503)[0]
        aside.rename(file)
        told_within(client, 200)


def test_readiness_says_that_a_sqlite_file_was_replaced_by_another(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    with served(f"sqlite:///{file}") as (app, client):
        told_within(client, 200)
        app.store.database.close()
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            other.execute("CREATE TABLE notes (text)")
        (tmp_path / "other.db").replace(file)
        assert told_within(client, 503)


def test_readiness_says_that_the_schema_is_another(sqlite_address: str) -> None:
    with served(sqlite_address) as (app, client):
        told_within(client, 200)
        with app.store.database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        assert "9999" in told_within(client, 503)[0]


def test_readiness_says_that_the_store_is_locked_by_a_writer(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    with served(f"sqlite:///{file}") as (_, client):
        told_within(client, 200)
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert "has not answered" in told_within(client, 503)[0]
            writer.execute("ROLLBACK")
        told_within(client, 200)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what is read-only")
def test_readiness_says_that_a_sqlite_file_is_read_only(tmp_path: Path) -> None:
    file = tmp_path / "desk.db"
    with served(f"sqlite:///{file}") as (app, client):
        told_within(client, 200)
        app.store.database.close()
        file.chmod(0o444)
        tmp_path.chmod(0o555)
        try:
            assert told_within(client, 503)
        finally:
            tmp_path.chmod(0o755)
            file.chmod(0o644)
        told_within(client, 200)


@pytest.mark.postgres
def test_readiness_says_that_a_postgresql_can_only_be_read(postgres_address: str) -> None:
    with served(postgres_address) as (app, client):
        told_within(client, 200)
        name = make_url(postgres_address).database
        with app.store.database.writing() as connection:
            connection.exec_driver_sql(
                f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
            )
        app.store.database.close()
        assert "read-only" in told_within(client, 503)[0]


def test_readiness_says_that_the_worker_of_this_process_has_ended(sqlite_address: str) -> None:
    with served(sqlite_address, worker=True) as (app, client):
        told_within(client, 200)
        machinery: Any = app.machinery
        machinery._runtime.worker.abandon("for the test")
        assert "worker" in told_within(client, 503)[0]


def test_readiness_says_that_the_scheduler_of_this_process_has_ended(sqlite_address: str) -> None:
    with served(sqlite_address, scheduler=True) as (app, client):
        told_within(client, 200)
        machinery: Any = app.machinery
        machinery._scheduler.stop()
        assert "scheduler" in told_within(client, 503)[0]
