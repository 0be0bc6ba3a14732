"""One desk for every exercise, on each store in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from closingbell.core.ledger import Manifest
from closingbell.store.schema import metadata
from closingbell.trading.market.memory_manifest import MemoryManifest
from tests.conformance.books import Books, MemoryBooks, StoredBooks
from tests.conformance.desk import Desk
from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def prepared_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with the schema, shared: making one takes longer than most tests."""
    database = postgres_server.create_database()
    address = postgres_server.address(database)
    Desk(address).close()
    try:
        yield address
    finally:
        postgres_server.drop_database(database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_address(request: pytest.FixtureRequest) -> str:
    """The address of an empty store, on each store in turn."""
    if request.param == "sqlite":
        address: str = request.getfixturevalue("sqlite_address")
        return address
    return emptied(request.getfixturevalue("prepared_postgres"))


def emptied(address: str) -> str:
    """Empty a PostgreSQL store."""
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(sa.text(f"TRUNCATE {tables}"))
    engine.dispose()
    return address


@pytest.fixture
def desk(empty_address: str) -> Iterator[Desk]:
    """A prepared, empty store."""
    made = Desk(empty_address)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def stored_books(desk: Desk) -> StoredBooks:
    """The ledger of an empty store."""
    return StoredBooks(desk)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres), "memory"])
def books(request: pytest.FixtureRequest) -> Iterator[Books]:
    """An empty ledger, of each implementation in turn."""
    if request.param == "memory":
        yield MemoryBooks()
        return
    with _desk_on(request) as made:
        yield StoredBooks(made)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres), "memory"])
def manifest(request: pytest.FixtureRequest) -> Iterator[Manifest]:
    """An empty manifest, of each implementation in turn."""
    if request.param == "memory":
        yield MemoryManifest()
        return
    with _desk_on(request) as made:
        yield made.store.manifest


@contextmanager
def _desk_on(request: pytest.FixtureRequest) -> Iterator[Desk]:
    address: str = (
        request.getfixturevalue("sqlite_address")
        if request.param == "sqlite"
        else emptied(request.getfixturevalue("prepared_postgres"))
    )
    made = Desk(address)
    try:
        yield made
    finally:
        made.close()
