"""What every test may ask for: hypothesis profiles, and fresh databases on both stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.exchange.server import LocalExchange
from tests.postgres import PostgresServer

# "ci" gives the same examples on every run and every machine; "deep" searches for new ones:
# HYPOTHESIS_PROFILE=deep make test
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile(
    "deep", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL; tests that stop it take `own_postgres` instead."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_address(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty PostgreSQL database: `postgresql+psycopg://...`."""
    database = postgres_server.create_database()
    try:
        yield postgres_server.address(database)
    finally:
        postgres_server.drop_database(database)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server of the test's own, to be stopped, crashed and started again (about a second)."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet: `sqlite:///...`."""
    return f"sqlite:///{tmp_path / 'closingbell.db'}"


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)],
)
def store_address(request: pytest.FixtureRequest) -> str:
    """A fresh, empty database on each store in turn."""
    which = "sqlite_address" if request.param == "sqlite" else "postgres_address"
    address: str = request.getfixturevalue(which)
    return address


@pytest.fixture
def local_exchange() -> Iterator[LocalExchange]:
    """An exchange on a free loopback port, with 10,000 USDT: see tests/exchange/server.py."""
    with LocalExchange() as exchange:
        yield exchange
