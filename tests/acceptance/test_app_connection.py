"""Submitting inside the caller's own transaction."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from closingbell import App, create_app
from closingbell.core.error import SettingError, SubmitError, UnknownRun


def desk(address: str | Path) -> App:
    """Return an app with one task."""
    app = create_app(address, guardian=False)

    @app.task
    async def book(n: int) -> int:
        return n

    return app


def test_run_in_a_callers_transaction_exists_exactly_when_it_commits(store_address: str) -> None:
    """A rollback takes the run back, a commit keeps it, and then it runs."""
    app = desk(store_address)
    with app.running():
        engine = create_engine(app.store.database.address)
        with engine.connect() as connection:
            lost = app.submit("book", {"n": 1}, connection=connection)
            connection.rollback()
        with pytest.raises(UnknownRun):
            app.get_run(lost.id)
        with Session(engine) as session:
            kept = app.submit("book", {"n": 2}, connection=session)
            session.commit()
        assert kept.result(10) == 2
        engine.dispose()


def test_connection_to_another_database_is_refused_and_its_transaction_goes_on(
    store_address: str, tmp_path: Path
) -> None:
    """A run there would never be seen; what the caller wrote is not harmed."""
    app = desk(store_address)
    elsewhere = create_engine(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    with elsewhere.begin() as connection:
        connection.execute(text("CREATE TABLE mine (n INTEGER)"))
        with pytest.raises(SubmitError, match="connection"):
            app.submit("book", {"n": 1}, connection=connection)
        connection.execute(text("INSERT INTO mine VALUES (1)"))
    with elsewhere.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM mine")).scalar_one() == 1
    elsewhere.dispose()
    app.stop()


def test_connection_to_another_store_of_ours_is_refused(
    sqlite_address: str, tmp_path: Path
) -> None:
    """The tables alone do not make it the same store."""
    other = desk(tmp_path / "other.db")
    with other.running():
        engine = create_engine(other.store.database.address)
        app = desk(sqlite_address)
        with engine.connect() as connection, pytest.raises(SubmitError, match="connection"):
            app.submit("book", {"n": 1}, connection=connection)
        engine.dispose()
        app.stop()


def test_database_address_that_cannot_be_read_is_refused_at_the_door() -> None:
    """Nothing is opened for it."""
    with pytest.raises(SettingError, match="mysql"):
        create_app("mysql://localhost/desk")


def test_database_given_as_a_plain_path_is_a_file(tmp_path: Path) -> None:
    """As text and as a Path."""
    for address in (str(tmp_path / "text.db"), tmp_path / "path.db"):
        app = desk(address)
        assert app.submit("book", {"n": 1}).status == "pending"
        app.stop()
    assert {path.name for path in tmp_path.glob("*.db")} == {"text.db", "path.db"}
