"""What only a store promises: facts start runs, writers exclude each other, fences bind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.error import ClosingbellError, FenceLost, LedgerConflict, StoreUnavailable
from closingbell.core.ledger import Fact
from closingbell.store.store import open_store
from tests.conformance.books import Account, StoredBooks, cash, fill, new_account, order
from tests.conformance.desk import Desk

FACT = Fact("position_change", {"symbol": "AAPL", "change": "-0.06"})


class Starting:
    """What an app sets: each fact starts a run, in the transaction of the fact."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.started: list[str] = []
        self.followed_up = 0
        self.ready_at_follow_up: list[str] = []
        self.problem: Exception | None = None
        desk.store.announcer.emit = self.emit
        desk.store.announcer.on_started = self.follow_up

    def emit(self, connection: sa.Connection, facts: Sequence[Fact]) -> bool:
        for fact in facts:
            items = self.desk.items(1)
            self.started += self.desk.store.events.record(
                f"event-{items[0].id}",
                fact.type,
                "{}",
                [(self.desk.template(cause="event"), item) for item in items],
                self.desk.now,
                connection,
            )
        if self.problem is not None:
            raise self.problem
        return bool(facts)

    def follow_up(self) -> None:
        self.followed_up += 1
        self.ready_at_follow_up = self.desk.states(self.started)
        self.desk.queue.exchange()


# --- facts -------------------------------------------------------------------------------


def test_facts_start_their_runs_in_the_same_transaction(stored_books: StoredBooks) -> None:
    desk, starting = stored_books.desk, Starting(stored_books.desk)
    account = Account(stored_books.ledger)
    desk.queue.attach(desk.claimer)
    account.write(entries=[cash("1")], facts=[FACT, FACT])
    assert starting.ready_at_follow_up == ["pending", "pending"]
    assert starting.followed_up == 1
    assert desk.claimer.ids == starting.started
    account.write(entries=[cash("1")])
    assert starting.followed_up == 1


def test_facts_of_a_refused_change_start_nothing(stored_books: StoredBooks) -> None:
    desk, starting = stored_books.desk, Starting(stored_books.desk)
    account, other = Account(stored_books.ledger), Account(stored_books.ledger)
    other.write()
    with pytest.raises(LedgerConflict):
        account.write(facts=[FACT])
    assert (starting.started, starting.followed_up) == ([], 0)
    assert desk.store.events.recent() == []


def test_facts_that_cannot_be_announced_undo_the_whole_change(stored_books: StoredBooks) -> None:
    desk, starting = stored_books.desk, Starting(stored_books.desk)
    account = Account(stored_books.ledger)
    starting.problem = ClosingbellError("no such task")
    with pytest.raises(ClosingbellError, match="no such task"):
        account.write(entries=[fill()], orders=[order()], facts=[FACT])
    assert stored_books.ledger.account("main") == account.record
    assert len(stored_books.ledger.entries("main")) == 1
    assert stored_books.ledger.orders("main") == []
    assert desk.store.events.recent() == []
    assert desk.store.runs.list_page() == []
    assert starting.followed_up == 0


def test_change_stays_true_when_its_runs_cannot_be_claimed_at_once(
    stored_books: StoredBooks,
) -> None:
    def fail() -> None:
        raise StoreUnavailable("gone for a moment")

    Starting(stored_books.desk)
    stored_books.desk.store.announcer.on_started = fail
    account = Account(stored_books.ledger)
    account.write(entries=[cash("1")], facts=[FACT])
    assert stored_books.ledger.account("main") == account.record


def test_facts_without_an_app_are_stored_as_events_that_start_nothing(
    stored_books: StoredBooks,
) -> None:
    Account(stored_books.ledger).write(facts=[FACT])
    [event] = stored_books.desk.store.events.recent()
    assert (event["type"], event["data"], event["runs"]) == (FACT.type, FACT.data, 0)
    assert event["happened_at"] == stored_books.desk.now


def test_runs_of_facts_are_heard_of_by_other_processes(stored_books: StoredBooks) -> None:
    desk = stored_books.desk
    Starting(desk)
    account = Account(stored_books.ledger)
    other = open_store(desk.address, desk.clock)
    heard = threading.Event()
    try:
        if other.dialect == "sqlite":
            other.queue.changed()
            account.write(facts=[FACT])
            assert other.queue.changed()
            return
        listening = threading.Event()
        other.queue.listen(lambda: (heard if listening.is_set() else listening).set())
        assert listening.wait(30)
        account.write(facts=[FACT])
        assert heard.wait(30)
    finally:
        other.close()


# --- writers -----------------------------------------------------------------------------


def test_of_many_writers_at_once_exactly_one_wins_each_round(stored_books: StoredBooks) -> None:
    address, clock = stored_books.desk.address, stored_books.desk.clock
    first = Account(stored_books.ledger).record
    # Each with its own connections, as processes have them.
    stores = [open_store(address, clock) for _ in range(4)]
    accounts = [Account(store.ledger) for store in stores]
    rounds, start = 8, threading.Barrier(len(stores))
    won: list[tuple[int, int]] = []
    problems: list[BaseException] = []

    def write(writer: int) -> None:
        account = accounts[writer]
        for number in range(rounds):
            start.wait(60)
            account.record = stored_books.ledger.account("main")
            start.wait(60)
            try:
                account.write(entries=[cash("1", external_id=f"{number}:{writer}")])
                won.append((number, writer))
            except LedgerConflict:
                pass
            except BaseException as problem:
                problems.append(problem)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for store in stores:
        store.close()
    assert problems == []
    assert sorted(number for number, _ in won) == list(range(rounds))
    entries = stored_books.ledger.entries("main", after_seq=1)
    assert [entry.external_id for entry in entries] == [f"{n}:{w}" for n, w in sorted(won)]
    assert stored_books.ledger.account("main").version == first.version + rounds


def test_account_that_many_open_at_once_is_opened_once(stored_books: StoredBooks) -> None:
    address, clock = stored_books.desk.address, stored_books.desk.clock
    stores = [open_store(address, clock) for _ in range(4)]
    start = threading.Barrier(len(stores))
    found: list[Any] = []

    def opened(number: int) -> None:
        start.wait(60)
        account = Account(stores[number].ledger, cash=str(number + 1))
        found.append(account.record)

    threads = [threading.Thread(target=opened, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for store in stores:
        store.close()
    assert len(found) == len(stores)
    assert len({record.initial for record in found}) == 1
    [deposit] = stored_books.ledger.entries("main")
    assert deposit.amount == found[0].initial


# --- fences ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["success", "failed", "cancelled"])
def test_fence_ends_with_its_run(stored_books: StoredBooks, ending: str) -> None:
    desk, holder = stored_books.desk, stored_books.holder()
    account = Account(stored_books.ledger)
    account.write(holder=holder)
    desk.end(desk.claimer.claim(holder.run_id), ending, error="{}")
    with pytest.raises(FenceLost):
        account.write(entries=[cash("1")], holder=holder)
    assert stored_books.ledger.account("main") == account.record


def test_fence_that_is_being_lost_is_waited_for(stored_books: StoredBooks) -> None:
    """Whoever is first decides: a settlement that is not yet true makes the write wait."""
    desk, holder = stored_books.desk, stored_books.holder()
    account = Account(stored_books.ledger)
    problems: list[BaseException] = []
    writing = threading.Event()

    def write() -> None:
        writing.set()
        try:
            account.write(entries=[cash("1")], holder=holder)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=write)
    other = open_store(desk.address, desk.clock)
    with other.database.writing() as connection:
        connection.execute(
            sa.text("UPDATE runs SET state = 'pending', worker_id = NULL WHERE id = :id"),
            {"id": holder.run_id},
        )
        thread.start()
        assert writing.wait(30)
        if other.dialect == "postgresql":
            _wait_until_somebody_waits(connection)
    thread.join(60)
    other.close()
    assert [type(problem) for problem in problems] == [FenceLost]
    assert stored_books.ledger.account("main") == account.record


def test_run_is_not_settled_before_its_change_is_true(stored_books: StoredBooks) -> None:
    desk, holder = stored_books.desk, stored_books.holder()
    account = Account(stored_books.ledger)
    claim = desk.claimer.claim(holder.run_id)
    seen: list[int] = []

    def settle() -> None:
        desk.end(claim)
        # What the run did is true by the time at which it has ended.
        seen.append(len(stored_books.ledger.entries("main")))

    settling = threading.Thread(target=settle)

    def emit(connection: sa.Connection, facts: Sequence[Fact]) -> bool:
        settling.start()
        if desk.store.dialect == "postgresql":
            _wait_until_somebody_waits(connection)
        return False

    desk.store.announcer.emit = emit
    account.write(entries=[cash("1")], holder=holder, facts=[FACT])
    settling.join(60)
    assert seen == [2]
    assert desk.state(holder.run_id) == "success"


def _wait_until_somebody_waits(connection: sa.Connection) -> None:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    pause = threading.Event()
    for _ in range(3000):
        if connection.execute(waiting).scalar_one():
            return
        pause.wait(0.01)
    raise AssertionError("nobody waits")


# --- names -------------------------------------------------------------------------------

_HOLD = """
import sys
from closingbell.core.clock import SystemClock
from closingbell.store.store import open_store

store = open_store(sys.argv[1], SystemClock())
print("ready", flush=True)
sys.stdin.readline()
with store.ledger.holding("pump"):
    print("held", flush=True)
    if sys.argv[2] == "die":
        sys.stdin.readline()
        import os
        os._exit(0)
store.close()
"""


def _child(address: str, how: str = "end") -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, address, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def test_held_name_keeps_other_processes_out(stored_books: StoredBooks) -> None:
    child = _child(stored_books.desk.address)
    heard: list[str] = []

    def listen() -> None:
        assert child.stdout is not None
        heard.append(child.stdout.readline())

    listening = threading.Thread(target=listen)
    with stored_books.ledger.holding("pump"):
        _say(child)
        listening.start()
        # Long enough for a child that need not wait to say so.
        listening.join(0.3)
        assert heard == []
    listening.join(60)
    assert heard == ["held\n"]
    child.communicate(timeout=60)
    assert child.returncode == 0


def test_held_name_is_free_when_its_process_dies(stored_books: StoredBooks) -> None:
    child = _child(stored_books.desk.address, "die")
    assert child.stdout is not None
    _say(child)
    assert child.stdout.readline() == "held\n"
    _say(child)
    with stored_books.ledger.holding("pump"):
        pass
    child.communicate(timeout=60)


def test_many_threads_that_wait_for_a_name_leave_connections_for_its_holder(
    stored_books: StoredBooks,
) -> None:
    account = Account(stored_books.ledger)
    done: list[int] = []

    def wait(number: int) -> None:
        with stored_books.ledger.holding("pump"):
            account.write(entries=[cash("1")])
            done.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(40)]
    with stored_books.ledger.holding("pump"):
        for thread in threads:
            thread.start()
        account.write(entries=[cash("1")])
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(40))
    assert stored_books.ledger.account("main").seq == 42


def test_open_account_keeps_its_first_deposit_exact(stored_books: StoredBooks) -> None:
    record = stored_books.ledger.open_account(new_account(cash="0.10"))
    assert str(record.initial) == "0.10"
    assert record.peak == Decimal("0.10")
