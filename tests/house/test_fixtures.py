"""The databases that the other tests stand on."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa

from tests.postgres import PostgresServer


def test_store_address_of_each_store_is_an_empty_database_that_can_be_written(
    store_address: str,
) -> None:
    engine = sa.create_engine(store_address)
    with engine.begin() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.execute(sa.text("CREATE TABLE seen (n INTEGER)"))
        connection.execute(sa.text("INSERT INTO seen VALUES (7)"))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT n FROM seen")).scalar_one() == 7
    engine.dispose()


@pytest.mark.postgres
def test_postgres_server_is_version_18_in_a_zone_that_nobody_relies_on(
    postgres_address: str,
) -> None:
    with psycopg.connect(postgres_address.replace("+psycopg", "")) as connection:
        assert connection.info.server_version // 10000 == 18
        row = connection.execute("SHOW timezone").fetchone()
        assert row == ("Asia/Kolkata",)


@pytest.mark.postgres
@pytest.mark.parametrize("crash", [False, True])
def test_own_postgres_stopped_and_started_again_keeps_what_was_committed(
    own_postgres: PostgresServer, crash: bool
) -> None:
    address = own_postgres.address().replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE kept (n INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1)")
    own_postgres.stop(crash=crash)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)
    own_postgres.start()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
