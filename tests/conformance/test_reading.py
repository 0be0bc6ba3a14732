"""What people look at, on each store: pages that hold every row once, and looks that have a bound."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from closingbell.core.actor import acting_as
from closingbell.core.error import UnknownWorker
from closingbell.core.ledger import BacktestRecord, OrderChange
from closingbell.core.order import OrderState
from closingbell.store import bounded_scan
from tests.conformance.books import Account, cash, fill, filled, order, snapshot
from tests.conformance.desk import SECOND, Desk, FakeClaimer


def orders(desk: Desk, **asked: Any) -> list[str]:
    """The ids of all pages of orders, two on a page; a page has an end, and says where."""
    found: list[str] = []
    after = None
    for _ in range(50):
        page = desk.store.desk_pages.orders("main", after=after, limit=2, **asked)
        found += [one.id for one in page.orders]
        after = page.position
        if after is None:
            assert page.complete
            return found
    raise AssertionError("the pages have no end")


@pytest.fixture
def ten_orders(desk: Desk) -> Account:
    """Ten orders, two of one instant, every third of MSFT, one filled, one cancelled."""
    account = Account(desk.store.ledger)
    made = [
        order(
            f"o{n}",
            created_at=100 + n // 2,
            symbol="MSFT" if n % 3 == 0 else "AAPL",
            task="scan" if n % 2 else None,
        )
        for n in range(10)
    ]
    ends = [filled("o1"), OrderChange("o2", OrderState.CANCELLED, 200)]
    account.write(
        orders=made,
        order_changes=ends,
        entries=[fill(order_id="o1", at=200), *(cash("1", at=n) for n in (201, 300, 300))],
    )
    return account


def test_pages_of_orders_hold_each_once_the_newest_first(desk: Desk, ten_orders: Account) -> None:
    assert orders(desk) == [f"o{n}" for n in range(9, -1, -1)]
    assert orders(desk, states=["new", "open"]) == ["o9", "o8", "o7", "o6", "o5", "o4", "o3", "o0"]
    assert orders(desk, states=["new"]) == orders(desk, states=["new", "open"])
    assert orders(desk, states=["filled", "cancelled"]) == ["o2", "o1"]
    assert orders(desk, symbol="MSFT") == ["o9", "o6", "o3", "o0"]
    assert orders(desk, symbol="MSFT", task="scan") == ["o9", "o3"]
    assert orders(desk, run_id="nobody") == []


def test_look_that_stops_at_its_bound_says_so_and_the_pages_still_hold_everything(
    desk: Desk, ten_orders: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_scan.scan, "__defaults__", ((), 3))
    page = desk.store.desk_pages.orders("main", symbol="MSFT", limit=2)
    assert ([one.id for one in page.orders], page.complete) == (["o9"], False)
    assert page.position is not None
    found, after, pages = [], None, 0
    while True:
        page = desk.store.desk_pages.orders("main", symbol="MSFT", limit=2, after=after)
        found += [one.id for one in page.orders]
        after, pages = page.position, pages + 1
        if after is None:
            break
    assert (found, pages) == (["o9", "o6", "o3", "o0"], 4)


def test_journal_is_paged_by_time_and_number(desk: Desk, ten_orders: Account) -> None:
    pages = desk.store.desk_pages
    found, after = [], None
    while True:
        page = pages.entries("main", after=after, limit=2)
        found += [entry.seq for entry in page.entries]
        after = page.position
        if after is None:
            break
    assert found == [5, 4, 3, 2, 1]
    assert [e.seq for e in pages.entries("main", since=201, until=300).entries] == [3]
    assert [e.seq for e in pages.entries("main", kinds=["fill"]).entries] == [2]
    assert [e.seq for e in pages.entries("main", symbol="AAPL").entries] == [2]


def test_fills_of_an_order_are_found_within_its_life(desk: Desk, ten_orders: Account) -> None:
    of = desk.store.ledger.order("o1")
    assert of is not None
    [entry] = desk.store.desk_pages.fills(of).entries
    assert (entry.order_id, entry.quantity) == ("o1", Decimal(10))


def test_long_curve_is_sampled_evenly_with_its_ends(desk: Desk) -> None:
    account = Account(desk.store.ledger)
    account.write(snapshots=[snapshot(1_000 + n, str(n)) for n in range(1_000)])
    account.write(snapshots=[snapshot(10_000_000, "5")])
    whole, complete = desk.store.desk_pages.curve("main", None, None)
    assert (len(whole), complete) == (1_001, True)
    some, complete = desk.store.desk_pages.curve("main", None, 2_000, most=100)
    assert complete is False
    assert 90 <= len(some) <= 101
    assert [int(some[0].value), int(some[-1].value)] == [0, 999]
    assert [one.at for one in some] == sorted({one.at for one in some})
    gaps = {two.at - one.at for one, two in pairwise(some)}
    assert max(gaps) <= 20
    few, _ = desk.store.desk_pages.curve("main", 1_998, None, most=1)
    assert {one.at for one in few} <= {1_998, 1_999, 10_000_000}


def test_audit_pages_hold_each_record_once(desk: Desk) -> None:
    audit = desk.store.audit
    for number in range(7):
        desk.advance(1)
        with acting_as("ann" if number % 2 else "bob"):
            audit.append("schedule.paused", "schedule", f"s{number}")

    def everything(**asked: Any) -> list[int]:
        found, after = [], None
        while True:
            page = desk.store.audit_pages.page(after=after, limit=2, **asked)
            found += [record.seq for record in page.records]
            after = page.position
            if after is None:
                return found

    assert everything() == [7, 6, 5, 4, 3, 2, 1]
    assert everything(actor="ann") == [6, 4, 2]
    assert everything(target_id="s3") == [4]
    assert everything(action="schedule.") == [7, 6, 5, 4, 3, 2, 1]
    assert everything(action="s_hedule.") == []
    now = desk.now
    assert everything(since=now - SECOND, until=now) == [6]


def test_backtests_are_paged_the_newest_first(desk: Desk) -> None:
    stored = desk.store.backtests
    for number in range(5):
        stored.put(BacktestRecord(f"b{number}", "n", 1, 10 + number // 2, {"n": number}), {})
    first = stored.page(3)
    rest = stored.page(3, (first[-1].finished_at, first[-1].id))
    assert [one.id for one in (*first, *rest)] == ["b4", "b3", "b2", "b1", "b0"]


def test_roster_names_what_workers_hold(desk: Desk) -> None:
    workers, now = desk.store.workers, desk.now
    workers.register("w1", "host", 1, {"slots": {"async": 4}}, now, now + SECOND)
    workers.register("w2", "host", 2, {}, now + 1, now + SECOND)
    workers.leave("w2", now + 2)
    desk.submit(3)
    desk.work(FakeClaimer("w1", {"async": 2}))
    one, other = desk.store.roster.recent(0, 10)
    assert (one.id, dict(one.used), len(one.running)) == ("w1", {"async": 2}, 2)
    assert {run.task for run in one.running} == {"risk_scan"}
    assert (other.id, other.state, dict(other.used)) == ("w2", "stopped", {})
    assert [w.id for w in desk.store.roster.recent(now + 3, 10)] == ["w1"]
    assert [w.id for w in desk.store.roster.recent(0, 1)] == ["w1"]
    with pytest.raises(UnknownWorker):
        desk.store.roster.get("w3")


def test_glance_counts_what_stands_and_what_is_late(desk: Desk) -> None:
    desk.submit(2, state="scheduled", due_at=desk.now + 500 * SECOND)
    desk.submit(3)
    desk.submit(1, lane="slow")
    desk.advance(100)
    desk.submit(1)
    standing = desk.store.glance.runs(desk.now - 60 * SECOND)
    assert standing._asdict() == {
        "running": 0,
        "pending": 5,
        "scheduled": 2,
        "held": 0,
        "late": 4,
        "oldest_due_at": desk.now - 100 * SECOND,
        "complete": True,
    }
    assert desk.store.glance.alerts() == {}


def test_glance_counts_schedules_that_did_not_fire(desk: Desk) -> None:
    put = desk.store.schedules.put
    put("late", "t", "{}", "call", desk.now - 90 * SECOND, desk.now)
    put("due", "t", "{}", "call", desk.now, desk.now)
    put("paused", "t", "{}", "call", desk.now - 90 * SECOND, desk.now)
    desk.store.schedules.pause("paused", "why", None, desk.now)
    assert desk.store.glance.late_schedules(desk.now - 60 * SECOND) == 1
    assert [row["id"] for row in desk.store.glance.next_schedules(5)] == ["late", "due"]


def test_vital_signs_of_a_store(desk: Desk) -> None:
    vitals = desk.store.vitals
    assert vitals.size() > 4_096
    assert (vitals.audit_records(), vitals.first_lease_end()) == (0, None)
    assert (vitals.waiting_notifications(), vitals.failed_notifications(0)) == ({}, {})
    desk.store.audit.append("database.backed_up", "database", "d")
    desk.store.workers.register("w1", "host", 1, {}, 1, 5 * SECOND)
    desk.store.workers.register("w2", "host", 1, {}, 1, 3 * SECOND)
    assert (vitals.audit_records(), vitals.first_lease_end()) == (1, 3 * SECOND)
