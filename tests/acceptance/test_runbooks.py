"""The disasters of the runbook that a page cannot make with commands alone, really made.

Each test makes the disaster, sees what the page says one sees, does what the page says, and ends
where the page says that it is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from closingbell import App, RunState, create_app
from closingbell.api.server import ApiServer
from closingbell.cli.main import commands
from closingbell.core.clock import SystemClock, from_micros
from closingbell.core.error import StoreFull, StoreUnavailable, UnknownRun
from closingbell.store.database import SqliteDatabase
from closingbell.tasks import Reconciliation
from closingbell.trading.algorithm import Algorithm
from tests.exchange.fault import cut
from tests.exchange.server import LocalExchange
from tests.postgres import PostgresServer

PATIENCE_S = 30.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: it did not happen in time"
        time.sleep(0.02)
    return found


def command(*words: str) -> str:
    """Run a command line that succeeds; return all that it wrote."""
    result = CliRunner().invoke(commands, list(words))
    assert result.exit_code == 0, (words, result.output)
    return result.output


@contextmanager
def at_work(app: App) -> Iterator[httpx.Client]:
    """The app as `closingbell serve` has it: worker, scheduler and API."""
    with (
        app.running(),
        ApiServer(app, port=0) as server,
        httpx.Client(base_url=server.url, timeout=10) as client,
    ):
        yield client


def ready(client: httpx.Client, status: int) -> Callable[[], bool]:
    """Return whether `/readyz` answers a status, while `/livez` always answers."""

    def answers() -> bool:
        assert client.get("/livez").status_code == 200
        return client.get("/readyz").status_code == status

    return answers


def desk_with_a_held_run(address: str, **more: Any) -> tuple[App, threading.Event]:
    """Return an app with a quick task and one that ends when the event is set."""
    app = create_app(address, guardian=False, **more)
    released = threading.Event()

    @app.task
    def settle(n: int = 1) -> int:
        return n

    @app.task
    def held() -> str:
        assert released.wait(PATIENCE_S)
        return "done"

    return app, released


def limit_pages(app: App, most: int | None) -> None:
    """Let the database have no page more than it has, as a full disk; None lifts it."""
    database = app.store.database
    assert isinstance(database, SqliteDatabase)
    with database.pen:
        driver = database.driver()
        if most is None:
            driver.execute("PRAGMA max_page_count = 1000000")
            return
        driver.execute(f"PRAGMA max_page_count = {most}")


def test_full_disk_refuses_new_work_and_what_ended_is_stored_when_there_is_room(
    tmp_path: Path,
) -> None:
    """docs/runbook/disk_full.md."""
    address = f"sqlite:///{tmp_path / 'desk.db'}"
    app, released = desk_with_a_held_run(address)
    with at_work(app) as client:
        until(ready(client, 200), "ready")
        held = app.submit("held")
        until(lambda: held.status is RunState.RUNNING, "held is at work")
        limit_pages(app, 1)
        with pytest.raises(StoreFull):
            app.submit_many("settle", [{"n": n} for n in range(5_000)])
        released.set()
        assert client.get("/livez").status_code == 200
        limit_pages(app, None)
        assert held.result(PATIENCE_S) == "done"
        assert held.run.fence == 1
        # What was refused left nothing behind.
        assert sum(app.store.runs.counts().values()) == 1
        assert app.submit("settle").result(PATIENCE_S) == 1
        until(ready(client, 200), "ready again")
    assert "sound" in command("db", "verify", "--database", address)


class SteppedClock(SystemClock):
    """The machine's clock, which somebody sets; its steady clock goes on as it does."""

    def __init__(self) -> None:
        self.step_us = 0

    def micros(self) -> int:
        return super().micros() + self.step_us

    def machine_micros(self) -> int:
        return super().machine_micros() + self.step_us

    def now(self) -> datetime:
        return from_micros(self.micros())

    def wait(self, condition: threading.Condition, until: int | None) -> None:
        super().wait(condition, None if until is None else until - self.step_us)

    def step(self, by: timedelta) -> None:
        """Set the clock forward, or back."""
        self.step_us += by // timedelta(microseconds=1)


def test_clock_that_is_stepped_back_and_forward_fires_no_instant_twice_and_goes_on(
    tmp_path: Path,
) -> None:
    """docs/runbook/clock_stepped.md."""
    clock = SteppedClock()
    app = create_app(f"sqlite:///{tmp_path / 'desk.db'}", clock=clock, guardian=False, lease_s=2)

    @app.task(interval="500ms")
    def tick() -> None: ...

    @app.task
    def settle(n: int = 1) -> int:
        return n

    def fired() -> Sequence[dict[str, Any]]:
        return app.store.schedules.firings("tick", 100_000)

    def more_than(count: int) -> Callable[[], bool]:
        return lambda: len(fired()) > count

    with app.running():
        until(more_than(1), "two ticks")
        newest = max(row["fire_at"] for row in fired())
        clock.step(timedelta(seconds=-3))
        # Work that no schedule starts goes on, and has an end that is stored.
        assert app.submit("settle", {"n": 2}).result(PATIENCE_S) == 2
        until(lambda: max(row["fire_at"] for row in fired()) > newest, "the clock has come back")
        clock.step(timedelta(hours=1))
        assert app.submit("settle", {"n": 3}).result(PATIENCE_S) == 3
        hour = clock.micros()
        until(lambda: max(row["fire_at"] for row in fired()) > hour, "ticks after the step")
    rows = fired()
    instants = [row["fire_at"] for row in rows]
    runs = [row["run_id"] for row in rows if row["run_id"] is not None]
    assert len(set(instants)) == len(instants)
    assert len(set(runs)) == len(runs)
    # What an hour passed over was caught up by one run, not by 7,200.
    assert len(runs) < 100


def test_order_whose_answer_was_cut_off_is_there_once_and_a_foreign_one_is_told(
    tmp_path: Path, local_exchange: LocalExchange
) -> None:
    """docs/runbook/order_unknown.md."""
    address = f"sqlite:///{tmp_path / 'desk.db'}"
    app = create_app(address, guardian=False)
    app.add_account(cash=10_000, currency="USDT", broker=local_exchange.broker())
    app.add_task(Reconciliation(interval="15m", look_back="7d"))

    @app.task(retries=3)
    def buy(algorithm: Algorithm) -> None:
        algorithm.create_buy_order(
            "BTC/USDT", quantity="0.01", order_type="LIMIT", limit_price=19_000
        )

    def reconcile() -> list[Any]:
        found = app.submit("reconciliation").result(PATIENCE_S)
        return list(found["differences"])

    with app.running():
        local_exchange.fail(cut())
        app.submit("buy").result(PATIENCE_S)
        (sent,) = local_exchange.orders
        (order,) = app.store.ledger.orders("main")
        assert sent.client_id == order.id
        assert reconcile() == []
        # Somebody else has the key, or the order was placed after the backup.
        foreign = local_exchange.books.place(
            {
                "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                "quantity": "0.01", "price": "18000", "newClientOrderId": "by-hand",
            }
        )  # fmt: skip
        (told,) = reconcile()
        assert "by-hand" in str(told)
        (alert,) = app.store.alerts.open()
        assert "order unknown by-hand" in alert["message"]
        # It is told once, however often it is found.
        assert reconcile() == [told]
        assert len(app.store.alerts.open()) == 1
        local_exchange.books.cancel(foreign)
        assert [reconcile(), reconcile()] == [[], []]
        assert "1 cleared" in command("alerts", "--clear", "--database", address)
    assert "sound" in command("db", "verify", "--database", address)


@pytest.mark.postgres
def test_postgresql_outage_loses_nothing_and_a_copy_is_restored_beside_the_lost_database(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    """docs/runbook/postgresql_outage.md."""
    name = own_postgres.create_database()
    lost = own_postgres.address(name)
    app, released = desk_with_a_held_run(lost)
    copy = str(tmp_path / "nightly.sql")
    with at_work(app) as client:
        held = app.submit("held")
        before = [app.submit("settle", {"n": n}) for n in range(3)]
        assert [handle.result(PATIENCE_S) for handle in before] == [0, 1, 2]
        until(lambda: held.status is RunState.RUNNING, "held is at work")
        # The outage.
        own_postgres.stop(crash=True)
        until(ready(client, 503), "not ready")
        with pytest.raises(StoreUnavailable):
            app.submit("settle")
        released.set()
        own_postgres.start()
        until(ready(client, 200), "ready again")
        assert held.result(PATIENCE_S) == "done"
        assert held.run.fence == 1
        assert app.submit("settle", {"n": 7}).result(PATIENCE_S) == 7
        # The copy, while the desk is at work.
        assert copy in command("db", "backup", copy, "--database", lost)
        after = app.submit("settle", {"n": 8})
        assert after.result(PATIENCE_S) == 8
    # The database is lost for good.
    own_postgres.drop_database(name)
    restored = own_postgres.address(own_postgres.create_database())
    command("db", "restore", copy, restored)
    assert "sound" in command("db", "verify", "--database", restored)
    heir, _ = desk_with_a_held_run(restored)
    with at_work(heir) as client:
        until(ready(client, 200), "ready")
        assert [heir.get_run(handle.id).result for handle in before] == [0, 1, 2]
        # What happened after the copy is not in it.
        with pytest.raises(UnknownRun):
            heir.get_run(after.id)
        assert heir.submit("settle", {"n": 9}).result(PATIENCE_S) == 9
