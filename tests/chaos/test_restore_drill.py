"""Back up under load, destroy, restore, verify, go on: what was settled before the backup is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import func, select

from closingbell import App
from closingbell.core.audit import Head
from closingbell.schedule_handle import ScheduleHandle
from closingbell.store.schema import firings, runs
from closingbell.store.trading_schema import entries, order_history, orders
from closingbell.trading.reconciliation import DifferenceKind, reconcile
from tests.acceptance.desk import eventually
from tests.chaos.drill_desk import make_desk
from tests.exchange.server import LocalExchange
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


class Place(NamedTuple):
    """A database, how it is destroyed, and where its copy goes."""

    address: str
    backup: str
    destroy: Callable[[], None]
    fresh: Callable[[], str]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place on each store in turn."""
    if request.param == "sqlite":
        (tmp_path / "desk").mkdir()
        file = tmp_path / "desk" / "desk.db"

        def remove() -> None:
            for part in file.parent.glob("desk.db*"):
                part.unlink()

        address = f"sqlite:///{file}"
        yield Place(address, str(tmp_path / "copy.db"), remove, lambda: address)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    made = [server.create_database()]

    def drop() -> None:
        server.drop_database(made.pop())

    def fresh() -> str:
        made.append(server.create_database())
        return server.address(made[-1])

    yield Place(server.address(made[0]), str(tmp_path / "copy.sql"), drop, fresh)
    for name in made:
        server.drop_database(name)


@contextmanager
def working(address: str, exchange: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The desk at work in a process of its own."""
    with log.open("ab") as errors:
        desk = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.drill_desk"],
            cwd=ROOT,
            env={
                **os.environ,
                "DRILL_STORE": address,
                "DRILL_EXCHANGE": exchange,
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            assert desk.stdout is not None
            assert desk.stdout.readline().strip() == b"ready", log.read_text()
            yield desk
        finally:
            desk.terminate()
            try:
                desk.wait(20)
            except subprocess.TimeoutExpired:
                desk.kill()
                desk.wait(10)
            assert desk.stdout is not None
            desk.stdout.close()


@contextmanager
def load(app: App) -> Iterator[None]:
    """Orders, plain runs and acts of a person, for as long as the block lasts."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def submit() -> None:
        number = 0
        try:
            while not stop.wait(0.02):
                number += 1
                app.submit("note", {"n": number})
                if number % 10 == 0:
                    app.submit("buy", {"quantity": "0.001"})
                if number % 15 == 0:
                    handle = ScheduleHandle("tick", app)
                    handle.pause(f"drill {number}")
                    handle.resume()
        except BaseException as problem:
            failed.append(problem)

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert failed == []


class Seen(NamedTuple):
    """What was certain at a moment."""

    settled: dict[str, Any]
    filled: dict[str, Any]
    journal: list[Any]
    fired: set[tuple[str, int]]
    head: Head


def look(app: App) -> Seen:
    """Return what is settled now."""
    with app.store.database.reading() as connection:

        def rows(*columns: Any, where: Any = True) -> list[Any]:
            return [tuple(row) for row in connection.execute(select(*columns).where(where))]

        settled = rows(runs.c.id, runs.c.state, runs.c.result, where=runs.c.state == "success")
        filled = rows(
            orders.c.id, orders.c.state, orders.c.filled, orders.c.broker_id,
            where=orders.c.state == "filled",
        )  # fmt: skip
        journal = rows(entries.c.account, entries.c.seq, entries.c.amount, entries.c.order_id)
        fired = rows(firings.c.schedule_id, firings.c.fire_at)
    head = app.store.audit.head()
    assert head is not None
    return Seen(
        {row[0]: row[1:] for row in settled},
        {row[0]: row[1:] for row in filled},
        sorted(journal),
        {(row[0], row[1]) for row in fired},
        head,
    )


def closingbell(*words: str) -> Any:
    """Run a command as a person would; return the JSON that it wrote."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")}
    done = subprocess.run(
        [sys.executable, "-m", "closingbell.cli.main", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_what_was_settled_before_a_backup_under_load_is_there_after_the_restore(
    place: Place, local_exchange: LocalExchange, tmp_path: Path
) -> None:
    app = make_desk(place.address, local_exchange.address)
    app.store.prepare()
    with working(place.address, local_exchange.address, tmp_path / "first.log") as desk:
        with load(app):
            eventually(lambda: len(look(app).filled) >= 3 and len(look(app).settled) >= 40)
            before = look(app)
            closingbell("db", "backup", place.backup, "--database", place.address)
            after_backup = eventually(
                lambda: seen if len((seen := look(app)).filled) > len(before.filled) else None
            )
        assert after_backup is not None
        desk.send_signal(signal.SIGKILL)
        desk.wait(10)
    app.stop(0)
    assert closingbell("db", "verify", place.backup, "--database", place.address)["ok"]
    place.destroy()

    address = place.fresh()
    closingbell("db", "restore", place.backup, address)
    report = closingbell("db", "verify", "--database", address)
    assert report["problems"] == []

    again = make_desk(address, local_exchange.address)
    restored = look(again)
    assert before.settled.items() <= restored.settled.items()
    assert before.filled.items() <= restored.filled.items()
    assert restored.journal[: len(before.journal)] == before.journal
    assert before.fired <= restored.fired
    # The head that was noted before is a record of the restored chain.
    assert again.audit.verify([before.head]).ok

    with working(address, local_exchange.address, tmp_path / "second.log"):
        handles = [again.submit("note", {"n": n}) for n in range(20)]
        bought = again.submit("buy", {"quantity": "0.001"})
        assert [handle.result(timeout=30)["n"] for handle in handles] == list(range(20))
        assert bought.result(timeout=30)["order"]
        eventually(lambda: len(look(again).fired) > len(restored.fired) + 1)
        now = look(again)
    # No instant that the backup knows fired again: its marker and its one run are as they were.
    with again.store.database.reading() as connection:
        instant = (runs.c.schedule_id, runs.c.fire_at)
        twice = (
            select(*instant)
            .where(runs.c.cause == "schedule")
            .group_by(*instant)
            .having(func.count() > 1)
        )
        assert connection.execute(twice).all() == []
    assert restored.fired <= now.fired
    # What was held by a worker that is gone was taken up again, and ended.
    waiting = again.store.runs.counts()
    assert waiting["failed"] == 0
    assert closingbell("db", "verify", "--database", address)["problems"] == []
    # What was bought after the backup is at the exchange, and nowhere in the ledger: that is what
    # the runbook lets a person look for.
    desk_of = again.desk
    desk_of.sync("main")
    found = reconcile(
        desk_of.account("main"),
        again.store.ledger,
        sync=lambda: desk_of.sync("main"),
        now=again.clock.micros(),
    )
    ours = {order.id for order in again.store.ledger.orders("main")}
    theirs = {order.client_id for order in local_exchange.orders}
    forgotten = theirs - ours
    assert forgotten
    missing = [one for one in found if one.kind is DifferenceKind.FILL_MISSING]
    assert len(missing) == len(forgotten)
    assert {one.subject for one in found if one.kind is DifferenceKind.BALANCE} == {"BTC", "USDT"}
    again.stop(0)


def test_history_of_every_order_survives_the_drill(
    place: Place, local_exchange: LocalExchange
) -> None:
    app = make_desk(place.address, local_exchange.address)
    app.start(block=False)
    app.submit("buy", {"quantity": "0.002"}).result(timeout=30)
    eventually(lambda: look(app).filled)
    app.store.maintenance.backup(place.backup)

    def steps(of: App) -> list[Any]:
        with of.store.database.reading() as connection:
            return sorted(tuple(row) for row in connection.execute(select(order_history)))

    before = steps(app)
    app.stop(1)
    place.destroy()
    address = place.fresh()
    closingbell("db", "restore", place.backup, address)
    again = make_desk(address, local_exchange.address)
    assert steps(again) == before
    again.stop(0)
