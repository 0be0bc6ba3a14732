"""The audit ledger: what people do is recorded with it or not done, and nothing else is."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.audit import AuditRecord, Problem
from closingbell.core.bar import Split
from closingbell.core.clock import SystemClock
from closingbell.core.entry import EntryKind
from closingbell.core.error import InvalidTransition, StoreError
from closingbell.core.ledger import BacktestRecord, FileVersion, OrderChange
from closingbell.core.order import OrderState
from closingbell.core.retry import RetryPolicy
from closingbell.store.audit import StoredAudit
from closingbell.store.store import open_store
from tests.conformance.books import Account, cash, fill, order
from tests.conformance.desk import Desk

DAILY = '{"trigger":"daily"}'
WEEKLY = '{"trigger":"weekly"}'


def put(desk: Desk, definition: str = DAILY, next_fire_at: int | None = 5) -> bool:
    """Declare the schedule "s"."""
    return desk.store.schedules.put("s", "risk_scan", definition, "call", next_fire_at, desk.now)


def on(desk: Desk, condition: str | None = None) -> None:
    """Declare the event trigger "e"."""
    desk.store.events.put_trigger("e", "fill", "risk_scan", condition, "{}", None, "call", desk.now)


def last(desk: Desk) -> AuditRecord:
    """The newest record; the chain is whole."""
    assert desk.store.audit.verify().findings == ()
    return desk.store.audit.records(limit=1)[0]


def told(desk: Desk) -> tuple[str, str, Any, Any]:
    """What the newest record says: the action, of which, before, after."""
    record = last(desk)
    return record.action, record.target_id, record.before, record.after


def actions(desk: Desk) -> list[str]:
    """All actions, the oldest first."""
    return [record.action for record in desk.store.audit.walk()]


# --- definitions ---------------------------------------------------------------------------


def test_schedule_is_recorded_when_it_is_made_changed_and_removed(desk: Desk) -> None:
    put(desk)
    made = {"task": "risk_scan", "trigger": "daily", "source": "call"}
    assert told(desk) == ("schedule.created", "s", None, made)
    put(desk, WEEKLY)
    changed = ("schedule.changed", "s", {"trigger": "daily"}, {"trigger": "weekly"})
    assert told(desk) == changed
    desk.store.schedules.remove("s", "no longer needed")
    assert told(desk) == ("schedule.removed", "s", {**made, "trigger": "weekly"}, None)
    assert last(desk).reason == "no longer needed"


def test_same_declaration_again_is_not_recorded(desk: Desk) -> None:
    for _ in range(3):
        put(desk)
        on(desk)
        desk.store.policies.put("risk_scan", RetryPolicy(retries=2), desk.now)
        desk.advance(60)
    assert actions(desk) == ["schedule.created", "event_trigger.created", "retry_policy.set"]


def test_calendar_that_goes_on_is_no_change_of_the_definition(desk: Desk) -> None:
    put(desk, next_fire_at=None)
    assert put(desk, next_fire_at=7)
    assert actions(desk) == ["schedule.created"]


def test_pause_and_resume_are_recorded_with_before_and_after(desk: Desk) -> None:
    put(desk)
    desk.store.schedules.pause("s", "holiday", 99, desk.now)
    nothing = {"paused_at": None, "paused_reason": None, "paused_until": None}
    paused = {"paused_at": desk.now, "paused_reason": "holiday", "paused_until": 99}
    assert told(desk) == ("schedule.paused", "s", nothing, paused)
    assert last(desk).reason == "holiday"
    desk.store.schedules.resume("s", 5)
    assert told(desk) == ("schedule.resumed", "s", paused, nothing)
    desk.store.schedules.resume("s", 5)
    assert len(actions(desk)) == 3


def test_event_trigger_is_recorded_when_it_is_made_changed_and_removed(desk: Desk) -> None:
    on(desk)
    on(desk, "x > 1")
    assert told(desk) == ("event_trigger.changed", "e", {"condition": None}, {"condition": "x > 1"})
    desk.store.events.remove_trigger("e")
    assert not desk.store.events.remove_trigger("e")
    assert last(desk).before["condition"] == "x > 1"
    assert [one.rpartition(".")[2] for one in actions(desk)] == ["created", "changed", "removed"]


def test_retry_policy_is_recorded_with_before_and_after(desk: Desk) -> None:
    desk.store.policies.put("risk_scan", RetryPolicy(retries=2), desk.now)
    desk.advance(1)
    changed = RetryPolicy(retries=5, initial_delay=timedelta(seconds=9))
    desk.store.policies.put("risk_scan", changed, desk.now)
    action, target, before, after = told(desk)
    assert (action, target) == ("retry_policy.set", "risk_scan")
    assert (before["max_retries"], after["max_retries"]) == (2, 5)
    assert after["initial_delay_s"] == 9
    assert "backoff_factor" not in after


# --- runs ----------------------------------------------------------------------------------


def test_cancel_retry_and_hasten_are_recorded_with_the_states(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.store.runs.cancel(run_id, "wrong day", desk.now)
    states = ({"state": "pending"}, {"state": "cancelled"})
    assert told(desk) == ("run.cancelled", run_id, *states)
    assert last(desk).reason == "wrong day"
    desk.store.runs.retry(run_id, 3, desk.now, desk.now + 60)
    after = {"state": "scheduled", "attempts": 3}
    assert told(desk) == ("run.retried", run_id, {"state": "cancelled"}, after)
    assert desk.store.runs.hasten(run_id, desk.now)
    assert told(desk) == ("run.hastened", run_id, {"state": "scheduled"}, {"state": "pending"})
    assert not desk.store.runs.hasten(run_id, desk.now)
    assert len(actions(desk)) == 3


def test_running_run_that_is_cancelled_twice_is_recorded_once(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.work()
    for reason in ("stop", "stop!"):
        assert desk.store.runs.cancel(run_id, reason, desk.now) == "running"
    assert [record.reason for record in desk.store.audit.walk()] == ["stop"]


def test_act_that_is_refused_is_not_recorded(desk: Desk) -> None:
    run_id = desk.submit_one()
    desk.finish(run_id)
    with pytest.raises(InvalidTransition):
        desk.store.runs.cancel(run_id, "too late", desk.now)
    assert actions(desk) == []


def test_engine_s_own_work_is_not_recorded(desk: Desk) -> None:
    for run_id in desk.submit(3):
        desk.finish(run_id, "failed")
    desk.store.events.record("1", "fill", "{}", [], desk.now)
    desk.store.alerts.put("a", "task_failure", "it failed", desk.now)
    assert actions(desk) == []


def test_cleared_alerts_and_dismissed_failures_are_recorded(desk: Desk) -> None:
    desk.store.alerts.clear(desk.now)
    desk.store.alerts.put("a", "task_failure", "it failed", desk.now)
    assert desk.store.alerts.clear(desk.now, "task_failure") == 1
    assert told(desk) == ("alerts.cleared", "task_failure", None, {"count": 1, "first": ["a"]})
    run_id = desk.submit_one()
    desk.finish(run_id, "failed", error='{"type":"ValueError"}')
    assert desk.store.failures.dismiss(run_id, desk.now)
    assert actions(desk) == ["alerts.cleared", "failure.dismissed"]


# --- the desk ------------------------------------------------------------------------------


def test_account_order_and_cash_of_a_person_are_recorded_and_fills_are_not(desk: Desk) -> None:
    account = Account(desk.store.ledger)
    assert told(desk)[:2] == ("account.opened", "main")
    account.write(orders=[order("o1")], entries=[fill(), cash("5")])
    [placed, booked] = list(desk.store.audit.walk())[1:]
    assert (placed.action, placed.target_id) == ("order.placed", "o1")
    assert placed.after["quantity"] == str(order("o1").quantity)
    assert (booked.action, booked.target_id) == (f"{EntryKind.CASH}.booked", "main")
    assert booked.after["amount"] == "5"
    Account(desk.store.ledger)
    assert len(actions(desk)) == 3


# --- who -----------------------------------------------------------------------------------


def test_actor_is_who_acts_and_a_given_reason_leads(desk: Desk) -> None:
    with acting_as("ann", ActorKind.PERSON, "month end"):
        put(desk)
        assert last(desk)[2:4] == ("ann", "person")
        assert last(desk).reason == "month end"
        desk.store.schedules.pause("s", "holiday", None, desk.now)
    assert last(desk).reason == "holiday"
    assert last(desk).at == desk.now


def test_text_that_a_database_cannot_keep_is_recorded_all_the_same(desk: Desk) -> None:
    with acting_as("a\0nn\ud800"):
        desk.store.audit.append("x", "y", "z\0", after={"a": "\0\ud800"}, reason="\ud800")
    assert last(desk).after == {"a": "\0\ud800"}


# --- both or neither -----------------------------------------------------------------------


def acts(desk: Desk) -> dict[str, Callable[[], Any]]:
    """Each act once, on a desk that was made ready for it."""
    store, now = desk.store, desk.now
    put(desk)
    on(desk)
    waiting = desk.submit_one(state="scheduled", due_at=now + 60)
    ended = desk.submit_one()
    desk.finish(ended, "failed", error='{"type":"ValueError"}')
    store.alerts.put("a", "task_failure", "it failed", now)
    account = Account(store.ledger)
    return {
        "put": lambda: put(desk, WEEKLY),
        "pause": lambda: store.schedules.pause("s", "holiday", None, now),
        "remove": lambda: store.schedules.remove("s"),
        "on": lambda: on(desk, "x > 1"),
        "off": lambda: store.events.remove_trigger("e"),
        "policy": lambda: store.policies.put("risk_scan", RetryPolicy(retries=2), now),
        "hasten": lambda: store.runs.hasten(waiting, now),
        "cancel": lambda: store.runs.cancel(waiting, "no", now),
        "retry": lambda: store.runs.retry(ended, 3, now),
        "clear": lambda: store.alerts.clear(now),
        "dismiss": lambda: store.failures.dismiss(ended, now),
        "order": lambda: account.write(orders=[order("o1")]),
        "cash": lambda: account.write(entries=[cash("5")]),
    }


def everything(desk: Desk) -> dict[str, list[Any]]:
    """All rows of all tables that an act may touch."""
    tables = (
        "schedules", "event_triggers", "runs", "attempts", "alerts", "dismissals",
        "retry_policies", "desk_accounts", "desk_orders", "desk_entries", "audit_records", "facts",
    )  # fmt: skip
    with desk.store.database.reading() as connection:
        return {
            name: sorted(map(str, connection.execute(sa.text(f"SELECT * FROM {name}"))))
            for name in tables
        }


def test_act_whose_record_cannot_be_written_does_not_happen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = acts(desk)
    before = everything(desk)

    def full(*_: Any, **__: Any) -> None:
        raise StoreError("no room for the record")

    with monkeypatch.context() as patch:
        patch.setattr(StoredAudit, "_add", full)
        for act in doing.values():
            with pytest.raises(StoreError, match="no room"):
                act()
            assert everything(desk) == before
    count = len(actions(desk))
    for name in ("pause", "on", "policy", "hasten", "retry", "clear", "order"):
        doing[name]()
        count += 1
        assert len(actions(desk)) == count


def test_record_of_an_act_that_fails_afterwards_is_not_there(desk: Desk) -> None:
    audit = desk.store.audit

    def fail_after_recording() -> None:
        with desk.store.database.writing() as connection:
            audit.append_on(connection, "x", "y", "z")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_recording()
    assert actions(desk) == []
    assert audit.verify().ok


# --- the chain -----------------------------------------------------------------------------


def _append_many(address: str, name: str, count: int) -> None:
    store = open_store(address, SystemClock())
    with acting_as(name):
        for number in range(count):
            store.audit.append("x", "y", str(number))
    store.close()


def test_four_processes_that_append_at_once_leave_one_unbroken_chain(desk: Desk) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append_many, args=(desk.address, f"writer {n}", 25))
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * 4
    verdict = desk.store.audit.verify()
    assert (verdict.findings, verdict.records, verdict.head.seq) == ((), 100, 100)
    for n in range(4):
        mine = desk.store.audit.records(actor=f"writer {n}")
        assert [int(record.target_id) for record in reversed(mine)] == list(range(25))


def test_records_are_found_by_period_action_actor_target_and_page(desk: Desk) -> None:
    start = desk.clock.now()
    put(desk)
    desk.advance(60)
    with acting_as("ann"):
        on(desk)
    desk.store.schedules.pause("s", "holiday", None, desk.now)

    def seqs(**wanted: Any) -> list[int]:
        return [record.seq for record in desk.store.audit.records(**wanted)]

    assert seqs() == [3, 2, 1]
    assert seqs(until=desk.clock.now()) == [1]
    assert seqs(since=start + timedelta(seconds=60)) == [3, 2]
    assert seqs(action="schedule.") == [3, 1]
    assert seqs(action="schedule.paused") == [3]
    assert seqs(actor="ann") == [2]
    assert seqs(target="s") == [3, 1]
    assert seqs(before_seq=3, limit=1) == [2]
    assert [r.seq for r in desk.store.audit.walk(until=desk.clock.now())] == [1]


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM facts WHERE name = 'audit_head'",
        "UPDATE facts SET value = 'nonsense' WHERE name = 'audit_head'",
        f"UPDATE facts SET value = '0:{'0' * 64}' WHERE name = 'audit_head'",
    ],
)
def test_chain_whose_head_is_gone_goes_on_and_says_so(desk: Desk, spoil: str) -> None:
    for _ in range(2):
        desk.store.audit.append("x", "y", "z")
    with desk.store.database.writing() as connection:
        connection.execute(sa.text(spoil))
    assert not desk.store.audit.verify().ok
    put(desk)
    findings = desk.store.audit.verify().findings
    assert [finding[:2] for finding in findings] == [(Problem.RESTARTED, 3)]
    assert actions(desk)[2:] == ["audit.restarted", "schedule.created"]


def test_cost_of_a_record_does_not_grow_with_their_number(desk: Desk) -> None:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    desk.store.audit.append("x", "y", "z")
    sa.event.listen(desk.store.database.engine(), "before_cursor_execute", note)
    desk.store.audit.append("x", "y", "z")
    first, seen = seen, []
    for _ in range(50):
        desk.store.audit.append("x", "y", "z")
    seen.clear()
    desk.store.audit.append("x", "y", "z")
    assert len(seen) == len(first)
    for statement in seen:
        if statement.startswith("SELECT audit_records"):
            with desk.store.database.reading() as connection:
                explain = "EXPLAIN QUERY PLAN " if desk.store.dialect == "sqlite" else "EXPLAIN "
                plan = "SELECT seq, hash FROM audit_records ORDER BY seq DESC LIMIT 1"
                text = str(connection.execute(sa.text(explain + plan)).all())
                assert "TEMP B-TREE" not in text
                assert "Sort" not in text


# --- what people do beside runs ------------------------------------------------------------


def test_event_that_somebody_tells_at_a_door_is_recorded_and_one_of_code_is_not(desk: Desk) -> None:
    record, once = desk.store.events.record, desk.store.event_book.record_once
    record("e1", "tick", "{}", [], desk.now, by_hand=True)
    with acting_as("ann"):
        record("e2", "tick", "{}", [], desk.now, by_hand=True)
    assert actions(desk) == []
    with acting_as("ann", ActorKind.PERSON):
        record("fact", "order_filled", "{}", [], desk.now)
        assert actions(desk) == []
        run = (desk.template(), desk.items(1)[0])
        record("e3", "tick", "{}", [run], desk.now, by_hand=True)
    assert told(desk) == ("event.triggered", "e3", None, {"type": "tick", "runs": 1})
    with acting_as("feed", ActorKind.API_TOKEN):
        for _ in range(2):
            once("e4", "tick", "{}", [], desk.now)
    assert actions(desk) == ["event.triggered"] * 2
    assert (last(desk).actor, last(desk).target_id) == ("feed", "e4")


def test_order_that_somebody_cancels_is_recorded_and_one_that_ends_by_itself_is_not(
    desk: Desk,
) -> None:
    account = Account(desk.store.ledger)
    account.write(orders=[order("o1"), order("o2")])
    before = len(actions(desk))
    account.write(order_changes=[OrderChange("o1", OrderState.CANCELLED, 9, reason="its day")])
    assert len(actions(desk)) == before
    with acting_as("ann", ActorKind.PERSON, "wrong size"):
        gone = OrderChange("o2", OrderState.CANCELLED, 10)
        account.write(order_changes=[gone], asked=["o2"])
    stands = {"account": "main", "state": "cancelled"}
    assert told(desk) == ("order.cancelled", "o2", None, stands)
    assert (last(desk).actor, last(desk).reason) == ("ann", "wrong size")


def test_archived_entries_are_recorded_once(desk: Desk) -> None:
    account = Account(desk.store.ledger)
    for _ in range(2):
        desk.store.ledger.archive("main", [1], desk.now)
    assert account.name == "main"
    assert told(desk) == ("entries.archived", "main", None, {"entries": 1})
    assert actions(desk).count("entries.archived") == 1


def test_market_data_that_somebody_brings_is_recorded_and_that_of_tasks_is_not(desk: Desk) -> None:
    manifest = desk.store.manifest
    first = FileVersion("AAPL", "1d", "2012", "a-1", 1, 250, 1, 2)
    manifest.replace([first], [], [], desk.now)
    manifest.put_actions([Split("AAPL", 5, Decimal(2))])
    assert actions(desk) == []
    with acting_as("ann@desk", ActorKind.COMMAND_LINE):
        second = first._replace(file="a-2", version=2, rows=251)
        manifest.replace([second], [], [], desk.now)
        changed = {"files": 1, "bars": 251, "files_gone": 0}
        assert told(desk) == ("market_data.changed", "AAPL 1d", None, changed)
        for _ in range(2):
            manifest.put_actions([Split("AAPL", 6, Decimal(3))])
    assert told(desk) == ("corporate_actions.added", "AAPL", None, {"actions": 1})
    assert actions(desk) == ["market_data.changed", "corporate_actions.added"]


def test_backtest_that_is_removed_is_recorded(desk: Desk) -> None:
    desk.store.backtests.put(BacktestRecord("b", "first try", 1, 2, {}), {})
    assert actions(desk) == []
    for _ in range(2):
        desk.store.backtests.remove("b")
    assert told(desk) == ("backtest.removed", "b", {"name": "first try"}, None)
    assert actions(desk) == ["backtest.removed"]


def test_change_of_what_is_masked_is_recorded(desk: Desk) -> None:
    masks = desk.store.masks
    for fields in (("api_key",), ("api_key",), ()):
        masks.put_all({"sync": fields, "scan": ()})
    records = [(r.action, r.target_id, r.before, r.after) for r in desk.store.audit.walk()]
    assert records == [
        ("task.masks_changed", "sync", {"fields": []}, {"fields": ["api_key"]}),
        ("task.masks_changed", "sync", {"fields": ["api_key"]}, {"fields": []}),
    ]
    assert desk.store.audit.verify().ok
