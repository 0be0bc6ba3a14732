"""What the machine and the databases give without any queue: the bounds that the tables name."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from bench.peer import POSTGRES
from bench.workloads import Numbers, payloads, percentile

_BULK = 5_000
_TABLE = """CREATE TABLE bare (id {key}, state integer NOT NULL DEFAULT 0, payload text,
 result text, claimed_at double precision, finished_at double precision)"""
_INDEX = "CREATE INDEX bare_claim ON bare (id) WHERE state = 0"


def measure(kind: str, workload: str, folder: Path, single: int, many: int) -> Numbers:
    """Measure one bare loop."""
    if kind == "disk":
        return _disk(folder)
    if kind == "sqlite":
        return _sqlite(workload, folder, single, many)
    if kind == "postgres":
        return _psycopg(workload, single, many)
    return asyncio.run(_asyncpg(workload, single, many))


def _disk(folder: Path) -> Numbers:
    waits = []
    handle = os.open(folder / "appended", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for _ in range(1_000):
        os.write(handle, b"x" * 200)
        began = time.perf_counter()
        os.fdatasync(handle)
        waits.append((time.perf_counter() - began) * 1000)
    os.close(handle)
    return {
        "single_per_s": 1_000 / (sum(waits) / 1_000),
        "p50_ms": percentile(waits, 0.5),
        "p99_ms": percentile(waits, 0.99),
    }


def _texts(count: int) -> list[str]:
    return [json.dumps(payload) for payload in payloads(count)]


# --- SQLite ------------------------------------------------------------------------------


def _sqlite(workload: str, folder: Path, single: int, many: int) -> Numbers:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(_TABLE.format(key="integer PRIMARY KEY"))
    connection.execute(_INDEX)
    if workload == "W1":
        return _sqlite_submit(connection, single, many)
    numbers: Numbers = {}
    for batch in (1, 100, 500):
        connection.execute("DELETE FROM bare")
        _sqlite_insert(connection, many)
        count = min(many, 3_000) if batch == 1 else many
        took = _sqlite_drain(connection, batch, count)
        numbers["runs_per_s" if batch == 100 else f"runs_per_s_{batch}"] = count / took
    return numbers


def _sqlite_submit(connection: sqlite3.Connection, single: int, many: int) -> Numbers:
    began = time.perf_counter()
    for text in _texts(single):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bare (payload) VALUES (?)", (text,))
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    return {"single_per_s": single / took, "bulk_per_s": many / _sqlite_insert(connection, many)}


def _sqlite_insert(connection: sqlite3.Connection, many: int) -> float:
    texts = [(text,) for text in _texts(many)]
    began = time.perf_counter()
    for start in range(0, many, _BULK):
        connection.execute("BEGIN IMMEDIATE")
        rows = texts[start : start + _BULK]
        connection.executemany("INSERT INTO bare (payload) VALUES (?)", rows)
        connection.execute("COMMIT")
    return time.perf_counter() - began


def _sqlite_drain(connection: sqlite3.Connection, batch: int, count: int) -> float:
    claimed: list[int] = []
    ended = 0
    began = time.perf_counter()
    while ended < count:
        now = time.time()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE bare SET state = 2, result = '1', finished_at = ? WHERE id = ?",
            [(now, key) for key in claimed],
        )
        found = connection.execute(
            "UPDATE bare SET state = 1, claimed_at = ? WHERE id IN"
            " (SELECT id FROM bare WHERE state = 0 ORDER BY id LIMIT ?) RETURNING id, payload",
            (now, batch),
        ).fetchall()
        connection.execute("COMMIT")
        ended += len(claimed)
        claimed = [row[0] for row in found]
    return time.perf_counter() - began


# --- PostgreSQL ----------------------------------------------------------------------------

_EXCHANGE = """
WITH ended AS (UPDATE bare SET state = 2, result = '1', finished_at = {time}
  WHERE id = ANY({ids}::bigint[])),
 chosen AS (SELECT id FROM bare WHERE state = 0 ORDER BY id LIMIT {limit} FOR UPDATE SKIP LOCKED)
UPDATE bare SET state = 1, claimed_at = {time} FROM chosen WHERE bare.id = chosen.id
RETURNING bare.id, bare.payload"""
_PREPARE = ("DROP TABLE IF EXISTS bare", _TABLE.format(key="bigserial PRIMARY KEY"), _INDEX)


def _psycopg(workload: str, single: int, many: int) -> Numbers:
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        run: Any = connection.execute

        def insert(texts: list[str]) -> None:
            for start in range(0, len(texts), _BULK):
                chunk = texts[start : start + _BULK]
                run("INSERT INTO bare (payload) SELECT unnest(%s::text[])", (chunk,))

        for sql in _PREPARE:
            run(sql)
        if workload == "W1":
            texts = _texts(single)
            began = time.perf_counter()
            for text in texts:
                run("INSERT INTO bare (payload) VALUES (%s)", (text,))
            numbers = {"single_per_s": single / (time.perf_counter() - began)}
            texts = _texts(many)
            began = time.perf_counter()
            insert(texts)
            return {**numbers, "bulk_per_s": many / (time.perf_counter() - began)}
        sql = _EXCHANGE.format(time="%(now)s", ids="%(ids)s", limit="%(limit)s")
        numbers = {}
        for batch in (1, 100, 500):
            for statement in _PREPARE:
                run(statement)
            insert(_texts(many))
            run("ANALYZE bare")
            count = min(many, 3_000) if batch == 1 else many
            claimed: list[int] = []
            ended = 0
            began = time.perf_counter()
            while ended < count:
                values = {"now": time.time(), "ids": claimed, "limit": batch}
                found = run(sql, values).fetchall()
                ended += len(claimed)
                claimed = [row[0] for row in found]
            took = time.perf_counter() - began
            numbers["runs_per_s" if batch == 100 else f"runs_per_s_{batch}"] = count / took
        return numbers


async def _asyncpg(workload: str, single: int, many: int) -> Numbers:
    connection = await importlib.import_module("asyncpg").connect(POSTGRES)
    try:
        return await _on_asyncpg(connection, workload, single, many)
    finally:
        await connection.close()


async def _on_asyncpg(connection: Any, workload: str, single: int, many: int) -> Numbers:
    async def insert(texts: list[str]) -> None:
        for start in range(0, len(texts), _BULK):
            chunk = texts[start : start + _BULK]
            await connection.execute("INSERT INTO bare (payload) SELECT unnest($1::text[])", chunk)

    for statement in _PREPARE:
        await connection.execute(statement)
    if workload == "W1":
        texts = _texts(single)
        began = time.perf_counter()
        for text in texts:
            await connection.execute("INSERT INTO bare (payload) VALUES ($1)", text)
        numbers = {"single_per_s": single / (time.perf_counter() - began)}
        texts = _texts(many)
        began = time.perf_counter()
        await insert(texts)
        return {**numbers, "bulk_per_s": many / (time.perf_counter() - began)}
    sql = _EXCHANGE.format(time="$1", ids="$2", limit="$3")
    numbers = {}
    for batch in (1, 100, 500):
        for statement in _PREPARE:
            await connection.execute(statement)
        await insert(_texts(many))
        await connection.execute("ANALYZE bare")
        count = min(many, 3_000) if batch == 1 else many
        claimed: list[int] = []
        ended = 0
        began = time.perf_counter()
        while ended < count:
            found = await connection.fetch(sql, time.time(), claimed, batch)
            ended += len(claimed)
            claimed = [row[0] for row in found]
        took = time.perf_counter() - began
        numbers["runs_per_s" if batch == 100 else f"runs_per_s_{batch}"] = count / took
    return numbers
