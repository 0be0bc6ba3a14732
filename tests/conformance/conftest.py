"""One desk for every exercise, on each store in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from closingbell.store.schema import metadata
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
    address = request.getfixturevalue("prepared_postgres")
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
