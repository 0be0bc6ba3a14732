"""Alerts, their rules and the outbox, on both stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closingbell.core.actor import acting_as
from closingbell.core.alert import AlertState
from closingbell.core.alert_plan import Finding, Plan
from closingbell.core.alert_rule import AlertRule, read_alert_rule
from closingbell.core.error import (
    AlreadyExists,
    DeclaredInCode,
    InvalidTransition,
    UnknownAlert,
    UnknownAlertRule,
    VersionMismatch,
)
from closingbell.core.notification import Notification
from closingbell.core.run import AlertNote
from closingbell.monitor.alerting.plan import Standing, Telling, plan
from closingbell.store.codec import to_json
from tests.conformance.desk import SECOND, Desk

NOTE = AlertNote("task_failure", "it failed", "{}", "ERROR")
TELLING = Telling(channels=("desk",))


def rule_of(**fields: Any) -> AlertRule:
    return read_alert_rule({"kind": "task_failure", "channels": ["*"], **fields})


def step(desk: Desk, *rules: AlertRule, findings: list[Finding] | None = None) -> Plan:
    """Plan and carry out one look; return the plan."""
    alerts = desk.store.alerts
    due = alerts.due(desk.now)
    standing = Standing(
        watched=alerts.watched([]),
        due=due,
        told=alerts.told([alert.id for alert in due]),
        dismissed=alerts.dismissed([f.subject for f in findings or ()], 0),
    )
    planned = plan(standing, findings, rules, desk.now, TELLING)
    alerts.carry_out(planned, desk.now)
    return planned


def fail(desk: Desk, count: int = 1) -> None:
    for _ in range(count):
        desk.finish(desk.submit_one(), "failed", error=to_json({"type": "E"}), alert=NOTE)


def messages(desk: Desk) -> list[tuple[str, str, str]]:
    found = reversed(desk.store.notifications.page())
    return [(one.occasion, one.channel, one.state) for one in found]


def finding(rule: AlertRule, note: str = "first") -> Finding:
    return Finding(rule, f"rule:{rule.id}:x", note, "it is late", "settle", None, {"n": 1})


# --- one cause -----------------------------------------------------------------------------


def test_failures_of_a_task_are_one_open_alert_that_counts_them(desk: Desk) -> None:
    fail(desk, 3)
    (alert,) = desk.store.alerts.page()
    assert (alert.type, alert.severity, alert.count) == ("task_failure", "ERROR", 3)
    assert alert.state is AlertState.OPEN
    desk.store.alerts.clear_one(alert.id, desk.now)
    fail(desk)
    fresh, cleared = desk.store.alerts.page(state=AlertState.OPEN), desk.store.alerts.get(alert.id)
    assert [a.count for a in fresh] == [1]
    assert cleared.state is AlertState.CLEARED


def test_failures_that_settle_together_are_counted_each(desk: Desk) -> None:
    ids = desk.submit(5)
    desk.work()
    for run_id in ids:
        claim = desk.claimer.claim(run_id)
        desk.claimer.ended.append(desk.settle(claim, "failed", error="{}", alert=NOTE))
    desk.claimer.claiming = False
    desk.work()
    (alert,) = desk.store.alerts.page()
    assert alert.count == 5


def test_message_of_any_length_and_with_any_character_is_an_alert(desk: Desk) -> None:
    odd = "a\0b\udcff" + "x" * 20_000
    desk.store.alerts.put("a1", "task_alert", odd, desk.now, task="t")
    desk.store.alerts.put("a2", "task_alert", odd, desk.now, task="t")
    (alert,) = desk.store.alerts.page()
    assert (alert.count, len(alert.message)) == (2, 20_004)


def test_urgent_message_is_not_counted_on_a_less_urgent_one(desk: Desk) -> None:
    desk.store.alerts.put("a1", "task_alert", "m", desk.now, severity="warning")
    desk.store.alerts.put("a2", "task_alert", "m", desk.now, severity="critical")
    assert [a.severity for a in desk.store.alerts.page()] == ["CRITICAL", "WARNING"]


# --- people --------------------------------------------------------------------------------


def test_acknowledged_alert_is_told_no_more_and_the_ledger_says_by_whom(desk: Desk) -> None:
    rule = rule_of(repeat_s=60)
    fail(desk)
    step(desk, rule)
    (alert,) = desk.store.alerts.page()
    with acting_as("ann"):
        acked = desk.store.alerts.acknowledge(alert.id, desk.now, "I am on it")
    assert (acked.state, acked.acknowledged_by) == (AlertState.ACKNOWLEDGED, "ann")
    record = desk.store.audit.records(limit=1)[0]
    assert (record.action, record.actor) == ("alert.acknowledged", "ann")
    assert record.reason == "I am on it"
    desk.advance(3600)
    assert not step(desk, rule)
    assert messages(desk) == [("raised", "desk", "pending")]
    # Twice is once.
    assert (
        desk.store.alerts.acknowledge(alert.id, desk.now).acknowledged_at == acked.acknowledged_at
    )
    assert desk.store.audit.records(limit=1)[0].seq == record.seq


def test_cleared_alert_cannot_be_acknowledged_and_an_unknown_one_is_unknown(desk: Desk) -> None:
    fail(desk)
    (alert,) = desk.store.alerts.page()
    desk.store.alerts.clear_one(alert.id, desk.now)
    with pytest.raises(InvalidTransition, match="cleared"):
        desk.store.alerts.acknowledge(alert.id, desk.now)
    for act in (desk.store.alerts.acknowledge, desk.store.alerts.clear_one):
        with pytest.raises(UnknownAlert):
            act("nobody", desk.now)


def test_clearing_forgets_what_was_not_sent_and_ends_what_was(desk: Desk) -> None:
    rule = rule_of()
    fail(desk)
    step(desk, rule)
    (one,) = desk.store.notifications.claim(("desk",), desk.now, desk.now + SECOND, 10)
    desk.store.notifications.sent(one, desk.now)
    (alert,) = desk.store.alerts.page()
    desk.store.alerts.put("other", "task_alert", "m", desk.now)
    step(desk, rule_of(kind="task_alert"), rule)
    assert desk.store.alerts.clear(desk.now) == 2
    assert messages(desk) == [("raised", "desk", "sent")]
    desk.advance(1)
    step(desk, rule, rule_of(kind="task_alert"))
    told = [m.occasion for m in desk.store.notifications.of_alert(alert.id)]
    assert told == ["raised", "cleared"]
    assert desk.store.notifications.of_alert("other") == []
    assert desk.store.alerts.next_step() is None


# --- two watchers --------------------------------------------------------------------------


def test_two_watchers_that_planned_the_same_tell_once(desk: Desk) -> None:
    rule, late = rule_of(), read_alert_rule({"kind": "overdue", "channels": ["*"]})
    fail(desk)
    alerts = desk.store.alerts
    standing = Standing(due=alerts.due(desk.now))
    planned = plan(standing, [finding(late)], [rule, late], desk.now, TELLING)
    assert alerts.carry_out(planned, desk.now) == 2
    assert alerts.carry_out(planned, desk.now) == 0
    # One that comes later with another instant finds the subject taken.
    desk.advance(1)
    second = plan(standing, [finding(late)], [rule, late], desk.now, TELLING)
    assert alerts.carry_out(second, desk.now) == 0
    assert sorted(a.type for a in alerts.page()) == ["overdue", "task_failure"]


def test_plan_made_before_an_acknowledgement_tells_nobody(desk: Desk) -> None:
    rule = rule_of(repeat_s=60)
    fail(desk)
    step(desk, rule)
    desk.advance(61)
    (alert,) = desk.store.alerts.page()
    planned = plan(Standing(due=desk.store.alerts.due(desk.now)), None, [rule], desk.now, TELLING)
    assert len(planned.steps[0].notifications) == 1
    desk.store.alerts.acknowledge(alert.id, desk.now)
    assert desk.store.alerts.carry_out(planned, desk.now) == 0


def test_turn_is_one_holders_until_it_ends(desk: Desk) -> None:
    turns = desk.store.turns
    assert turns.take("watch", "a", 1_000, 2_000)
    assert not turns.take("watch", "b", 1_500, 2_500)
    assert turns.take("watch", "a", 1_900, 2_900)
    assert not turns.take("watch", "b", 2_800, 3_800)
    turns.leave("watch", "b")
    assert not turns.take("watch", "b", 2_800, 3_800)
    turns.leave("watch", "a")
    assert turns.take("watch", "b", 2_800, 3_800)
    assert turns.take("watch", "a", 3_900, 4_900)


# --- causes that rules find ----------------------------------------------------------------


def test_found_cause_is_raised_counted_by_its_facts_and_cleared_when_gone(desk: Desk) -> None:
    late = read_alert_rule({"kind": "overdue", "channels": ["*"]})
    step(desk, late, findings=[finding(late)])
    step(desk, late, findings=[finding(late)])
    step(desk, late, findings=[finding(late, "second")])
    (alert,) = desk.store.alerts.page()
    assert (alert.count, alert.note, alert.rule_id) == (2, "second", "overdue")
    assert alert.data == {"n": 1}
    step(desk, late, findings=[])
    (alert,) = desk.store.alerts.page()
    assert (alert.state, alert.cleared_by) == (AlertState.CLEARED, "closingbell")
    # Nobody acted, so the ledger of acts says nothing.
    assert [record.action for record in desk.store.audit.records()] == []


def test_cause_that_a_person_cleared_stays_away_until_it_is_another(desk: Desk) -> None:
    late = read_alert_rule({"kind": "overdue", "channels": ["*"]})
    step(desk, late, findings=[finding(late)])
    desk.store.alerts.clear(desk.now)
    desk.advance(10)
    step(desk, late, findings=[finding(late)])
    assert desk.store.alerts.page(state=AlertState.OPEN) == []
    step(desk, late, findings=[finding(late, "another")])
    assert len(desk.store.alerts.page(state=AlertState.OPEN)) == 1


def test_alert_of_a_rule_that_is_gone_is_cleared(desk: Desk) -> None:
    late = read_alert_rule({"kind": "overdue", "channels": ["*"]})
    step(desk, late, findings=[finding(late)])
    step(desk, findings=[])
    assert desk.store.alerts.page(state=AlertState.OPEN) == []


# --- facts ---------------------------------------------------------------------------------


def test_facts_say_what_waits_what_is_late_and_who_is_lost(desk: Desk) -> None:
    facts, store = desk.store.alert_facts, desk.store
    first, second = desk.submit(2)
    laned = desk.submit_one(lane="lane", task="other")
    soon = desk.submit_one(state="scheduled", due_at=desk.now + 5 * SECOND, task="soon")
    held = desk.submit_one(state="scheduled", hold="approval", task="pay")
    desk.advance(10)
    rows = {row.task: row for row in facts.waiting(desk.now)}
    assert (rows["risk_scan"].oldest_id, rows["risk_scan"].runs) == (first, 2)
    assert (rows["other"].oldest_id, rows["soon"].oldest_id) == (laned, soon)
    assert "pay" not in rows
    assert facts.waiting(desk.now - 60 * SECOND) == []
    assert [(h.task, h.oldest_id, h.runs) for h in facts.held()] == [("pay", held, 1)]
    assert second
    store.schedules.put("s", "settle", "{}", "app", desk.now - SECOND, desk.now)
    assert [row.schedule for row in facts.late(desk.now)] == ["s"]
    assert [row.schedule for row in facts.missed(desk.now, "settle", None)] == ["s"]
    assert facts.missed(desk.now - 2 * SECOND, "settle", None) == []
    machine = desk.queue.machine_micros()
    store.workers.register("w1", "h1", 1, {}, machine - 9 * SECOND, machine - SECOND)
    assert [row.id for row in facts.lost(machine)] == ["w1"]
    store.workers.bury(machine)
    assert [row.id for row in facts.lost(machine)] == ["w1"]
    store.workers.register("w2", "h1", 2, {}, machine, machine + SECOND)
    assert facts.lost(machine) == []
    size, free = facts.size()
    assert size > 0
    assert free is None or 0 < free < 1


def test_task_that_succeeded_since_its_firing_is_not_missed(desk: Desk) -> None:
    store = desk.store
    store.schedules.put("s", "risk_scan", "{}", "app", desk.now, desk.now)
    row = store.schedules.get("s")
    from closingbell.core.port import Firing

    run = desk.items(1)[0]
    tick = Firing(desk.now, "ran", template=desk.template(schedule_id="s"), item=run)
    store.schedules.fire("s", row["version"], [tick], None, desk.now)
    at = desk.now
    desk.advance(60)
    missed = store.alert_facts.missed(desk.now, None, "s")
    assert [(m.fire_at, m.run_id) for m in missed] == [(at, run.id)]
    desk.finish(run.id)
    assert store.alert_facts.missed(desk.now, None, "s") == []
    assert store.alert_facts.successes(["risk_scan", "nobody"]) == {"risk_scan": desk.now}


# --- the outbox ----------------------------------------------------------------------------


def message(desk: Desk, number: int = 1, alert: str = "a", channel: str = "desk") -> Notification:
    made = Notification(
        f"n{number}", alert, channel, "raised", {"subject": "s", "text": "t"}, "pending", 0, 0,
        desk.now, desk.now, None, None,
    )  # fmt: skip
    desk.store.notifications.put(made)
    return made


def test_message_is_claimed_by_one_and_sent_again_when_its_sender_died(desk: Desk) -> None:
    outbox = desk.store.notifications
    message(desk)
    until = desk.now + 10 * SECOND
    (first,) = outbox.claim(("desk",), desk.now, until, 10)
    assert (first.state, first.attempts, first.fence) == ("sending", 1, 1)
    assert outbox.claim(("desk",), desk.now, until, 10) == []
    assert outbox.next_due(("desk",)) == until
    desk.advance(11)
    (second,) = outbox.claim(("desk",), desk.now, desk.now + 10 * SECOND, 10)
    assert (second.id, second.fence) == (first.id, 2)
    # The one that was thought dead says what became of it: too late to count.
    assert not outbox.sent(first, desk.now)
    assert not outbox.put_off(first, desk.now, "x")
    assert not outbox.give_up(first, desk.now, "x")
    assert outbox.sent(second, desk.now)
    assert not outbox.sent(second, desk.now)
    assert outbox.next_due(("desk",)) is None


def test_messages_of_channels_that_are_unknown_here_are_left_to_others(desk: Desk) -> None:
    outbox = desk.store.notifications
    message(desk, channel="elsewhere")
    assert outbox.claim(("desk",), desk.now, desk.now + 1, 10) == []
    assert outbox.next_due(("desk",)) is None
    assert outbox.next_due(()) is None
    assert outbox.forsaken(desk.now) == []
    assert [one.id for one in outbox.forsaken(desk.now + 1)] == ["n1"]


def test_message_that_is_given_up_is_an_alert_but_not_about_itself(desk: Desk) -> None:
    outbox, alerts = desk.store.notifications, desk.store.alerts
    alerts.put("a", "task_alert", "m", desk.now)
    message(desk)
    (one,) = outbox.claim(("desk",), desk.now, desk.now + SECOND, 10)
    assert outbox.give_up(one, desk.now, "gone")
    (failure,) = alerts.page(kind="notification_failed")
    assert failure.data == {"channel": "desk", "notification": "n1", "alert": "a"}
    assert "gone" in failure.message
    # It is routed to every channel but the one that fails.
    telling = replace(TELLING, channels=("desk", "mail"))
    rule = rule_of(kind="notification_failed")
    alerts.carry_out(
        plan(Standing(due=alerts.due(desk.now)), None, [rule], desk.now, telling), desk.now
    )
    (told,) = outbox.of_alert(failure.id)
    assert told.channel == "mail"
    (told,) = outbox.claim(("mail",), desk.now, desk.now + SECOND, 10)
    assert outbox.give_up(told, desk.now, "gone too")
    assert len(alerts.page(kind="notification_failed")) == 1
    assert alerts.get(failure.id).count == 1


def test_pages_of_alerts_and_messages_hold_each_once(desk: Desk) -> None:
    alerts, outbox = desk.store.alerts, desk.store.notifications
    for number in range(7):
        alerts.put(f"a{number}", "task_alert", f"m{number}", desk.now, task="t")
        message(desk, number)
        desk.advance(number % 2)
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := alerts.page(task="t", before=before, limit=3):
        seen += [alert.id for alert in page]
        before = (page[-1].raised_at, page[-1].id)
    assert seen == [f"a{number}" for number in reversed(range(7))]
    told: list[str] = []
    before = None
    while sent := outbox.page(state="pending", before=before, limit=2):
        told += [one.id for one in sent]
        before = (sent[-1].created_at, sent[-1].id)
    assert told == [f"n{number}" for number in reversed(range(7))]
    assert alerts.page(kind="nothing") == alerts.page(severity="CRITICAL") == []


# --- rules ---------------------------------------------------------------------------------


def test_rules_of_code_keep_what_a_person_disabled_until_they_change(desk: Desk) -> None:
    rules = desk.store.alert_rules
    rule = rule_of(id="mine")
    assert rules.declare(rule, desk.now)
    assert not rules.declare(rule, desk.now)
    off = rules.change(replace(rule, enabled=False), desk.now, version=1)
    assert (off.rule.enabled, off.version, off.source) == (False, 2, "code")
    assert not rules.declare(rule, desk.now)
    assert not rules.get("mine").rule.enabled
    with pytest.raises(DeclaredInCode):
        rules.change(replace(rule, channels=("mail",)), desk.now)
    with pytest.raises(DeclaredInCode):
        rules.remove("mine", declared=["mine"])
    assert rules.declare(replace(rule, repeat_s=60.0), desk.now)
    assert rules.get("mine").rule.enabled
    rules.remove("mine")
    with pytest.raises(UnknownAlertRule):
        rules.get("mine")


def test_rules_are_made_changed_and_removed_with_versions_and_records(desk: Desk) -> None:
    rules = desk.store.alert_rules
    made = rules.create(rule_of(id="mine"), desk.now, "wanted")
    assert (made.source, made.version) == ("api", 1)
    with pytest.raises(AlreadyExists):
        rules.create(rule_of(id="mine"), desk.now)
    with pytest.raises(VersionMismatch):
        rules.change(rule_of(id="mine", repeat_s=60), desk.now, version=7)
    changed = rules.change(rule_of(id="mine", repeat_s=60), desk.now, version=1)
    assert (changed.version, changed.rule.repeat_s) == (2, 60.0)
    rules.remove("mine", reason="enough")
    actions = [record.action for record in desk.store.audit.records()]
    assert actions == ["alert_rule.removed", "alert_rule.changed", "alert_rule.created"]


def test_default_rules_are_there_once_and_are_disabled_rather_than_removed(desk: Desk) -> None:
    rules = desk.store.alert_rules
    rules.adopt_defaults(desk.now)
    count = len(rules.all())
    rules.adopt_defaults(desk.now)
    assert len(rules.all()) == count > 5
    off = replace(rules.get("default-overdue").rule, enabled=False)
    rules.change(off, desk.now)
    rules.adopt_defaults(desk.now)
    assert not rules.get("default-overdue").rule.enabled
    with pytest.raises(DeclaredInCode, match="disable"):
        rules.remove("default-overdue")


def test_alert_follows_a_rule_that_changed_from_the_next_look_on(desk: Desk) -> None:
    fail(desk)
    step(desk, rule_of(id="mine"))
    assert desk.store.alerts.next_step() is None
    desk.advance(100)
    desk.store.alerts.look_again("mine")
    step(desk, rule_of(id="mine", escalate_after_s=60, escalate_to=["boss"]))
    assert ("escalated", "boss", "pending") in messages(desk)
