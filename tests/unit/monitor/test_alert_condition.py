"""Conditions: what each kind of rule sees, at its threshold and beside it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.alert import Alert
from closingbell.core.alert_kind import KINDS
from closingbell.core.alert_rule import AlertRule, default_rules, read_alert_rule
from closingbell.core.notification import Occasion
from closingbell.monitor.alerting.condition import find
from closingbell.monitor.alerting.facts import (
    AccountWorth,
    EndingVenue,
    Facts,
    FailureCount,
    HeldRuns,
    LateSchedule,
    LostWorker,
    MissedRun,
    StoreSize,
    WaitingRuns,
)
from closingbell.monitor.alerting.message import compose
from closingbell.monitor.alerting.plan import Standing, Telling, plan, rule_of

S = 1_000_000
NOW = 1_772_461_800 * S


def rule(kind: str, **fields: Any) -> AlertRule:
    return read_alert_rule({"kind": kind, **fields})


def seen(one: AlertRule, facts: Facts) -> list[str]:
    """What a rule sees, by the last part of the subject."""
    return [finding.subject.removeprefix(f"rule:{one.id}:") for finding in find(one, facts, NOW)]


def test_overdue_counts_from_the_first_moment_after_its_limit() -> None:
    def facts(age_s: float) -> Facts:
        due = NOW - round(age_s * S)
        return Facts(
            tags={"settle": frozenset({"money"})},
            waiting=(
                WaitingRuns("settle", "nightly", "r1", due, 2),
                WaitingRuns("settle", None, "r2", due - 1, 1),
                WaitingRuns("other", None, "r3", NOW, 1),
            ),
            late=(LateSchedule("nightly", "settle", due),),
        )

    one = rule("overdue", for_s=60)
    assert seen(one, facts(59.9)) == []
    assert seen(one, facts(60.1)) == ["task:settle", "schedule:nightly"]
    found = find(one, facts(60.1), NOW)[0]
    # The one that has waited longest is named, and all are counted.
    assert (found.run_id, found.note, found.data["runs"]) == ("r2", "r2", 3)
    assert "and 2 more" in found.message
    assert seen(rule("overdue", for_s=60, task="other"), facts(99)) == []
    assert seen(rule("overdue", for_s=60, tag="money"), facts(99)) != []
    assert seen(rule("overdue", for_s=60, tag="risk"), facts(99)) == []
    by_schedule = rule("overdue", for_s=60, schedule="nightly")
    assert find(by_schedule, facts(99), NOW)[0].run_id == "r1"


def test_queue_age_names_the_oldest_of_what_it_covers() -> None:
    facts = Facts(
        waiting=(
            WaitingRuns("a", None, "r1", NOW - 50 * S, 1),
            WaitingRuns("b", None, "r2", NOW - 90 * S, 4),
        )
    )
    assert seen(rule("queue_age", for_s=90), facts) == []
    (found,) = find(rule("queue_age", for_s=60), facts, NOW)
    assert (found.task, found.run_id, found.data["runs"]) == ("b", "r2", 5)
    assert seen(rule("queue_age", for_s=60, task="a"), facts) == []


def test_did_not_run_says_why_a_firing_was_skipped() -> None:
    missed = MissedRun("nightly", "settle", NOW - 9 * S, None, "overlap: run r1 has not ended")
    one = rule("did_not_run", for_s=5)
    (found,) = find(one, Facts(missed={one.id: (missed,)}), NOW)
    assert "it was skipped: overlap" in found.message
    assert seen(one, Facts(missed={"another-rule": (missed,)})) == []


def test_worker_is_lost_once_for_each_host() -> None:
    lost = tuple(LostWorker(f"w{n}", f"h{n % 2}", NOW - 61 * S) for n in range(3))
    one = rule("worker_lost")
    assert seen(one, Facts(lost=lost, machine_now=NOW)) == ["host:h0", "host:h1"]
    assert seen(one, Facts(lost=lost, machine_now=NOW - 2 * S)) == []


def test_store_is_nearly_full_by_its_disk_or_by_its_size() -> None:
    both = rule("store_nearly_full", fraction=0.1, size_bytes=1_000)
    assert seen(both, Facts(store=StoreSize(1_001, 0.09))) == ["disk", "size"]
    assert seen(both, Facts(store=StoreSize(1_000, 0.10))) == []
    # Of a database server's disk nothing is seen.
    assert seen(both, Facts(store=StoreSize(10, None))) == []
    assert seen(both, Facts()) == []


def test_calendar_ends_within_its_days_and_after() -> None:
    facts = Facts(
        venues=(
            EndingVenue("XSHG", "2026-12-31", 45),
            EndingVenue("XBOM", "2026-02-01", -3),
            EndingVenue("XNYS", "2027-12-31", 46),
        )
    )
    assert seen(rule("calendar_ending"), facts) == ["venue:XSHG", "venue:XBOM"]
    assert seen(rule("calendar_ending", venue="XNYS", days=100), facts) == ["venue:XNYS"]


def test_drawdown_is_a_fraction_of_the_peak() -> None:
    def facts(value: str, peak: str = "1000") -> Facts:
        return Facts(accounts=(AccountWorth("main", Decimal(value), Decimal(peak), NOW),))

    one = rule("drawdown", fraction=0.1)
    assert seen(one, facts("900")) == []
    assert seen(one, facts("899.99")) == ["account:main"]
    assert seen(one, facts("-5")) == ["account:main"]
    assert seen(one, facts("5", peak="0")) == []
    assert seen(rule("drawdown", fraction=0.1, account="other"), facts("1")) == []


def test_warning_and_critical_rules_of_one_kind_are_two_alerts() -> None:
    facts = Facts(accounts=(AccountWorth("main", Decimal(700), Decimal(1000), NOW),))
    rules = [
        rule("drawdown", id="warn", fraction=0.1, severity="WARNING"),
        rule("drawdown", id="stop", fraction=0.2, severity="CRITICAL"),
    ]
    found = [finding for one in rules for finding in find(one, facts, NOW)]
    raised = plan(Standing(), found, rules, NOW, Telling()).raises
    assert [(step.rule_id, step.severity) for step in raised] == [
        ("warn", "WARNING"),
        ("stop", "CRITICAL"),
    ]


def test_failure_rate_wants_enough_runs() -> None:
    one = rule("failure_rate", fraction=0.5, count=4)

    def facts(failed: int, judged: int) -> Facts:
        return Facts(failures={one.id: (FailureCount("settle", failed, judged),)})

    assert seen(one, facts(3, 3)) == []
    assert seen(one, facts(2, 4)) == []
    assert seen(one, facts(3, 4)) == ["task:settle"]


def test_approval_waits_too_long() -> None:
    facts = Facts(held=(HeldRuns("pay", "r1", NOW - 3_601 * S, 2),))
    assert seen(rule("approval_waiting"), facts) == ["task:pay"]
    assert seen(rule("approval_waiting", for_s=7_200), facts) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_is_seen_where_nothing_is_wrong(kind: str) -> None:
    needed = KINDS[kind].needed
    one = rule(kind, **({} if needed is None else {needed: 0.5}))
    assert find(one, Facts(), NOW) == []


# --- raised alerts -------------------------------------------------------------------------


def failure(**changes: Any) -> Alert:
    made = Alert(
        "a1", "task_failure", "ERROR", "task_failure:settle", None, "settle", "r1", "it failed",
        {"type": "ValueError", "message": "no price", "traceback": "secret"}, 1, "n", NOW, NOW,
    )  # fmt: skip
    return replace(made, **changes)


def test_raised_alert_follows_the_narrowest_rule_and_yours_before_a_default_one() -> None:
    mine = rule("task_failure", id="mine")
    narrow = rule("task_failure", id="narrow", task="settle")
    tagged = rule("task_failure", id="tagged", task="settle", tag="money")
    every = [*default_rules(), mine, narrow, tagged, rule("long_execution", id="other")]

    def chosen(rules: list[AlertRule], tags: frozenset[str] = frozenset()) -> str | None:
        found = rule_of(failure(), rules, tags)
        return None if found is None else found.id

    assert chosen(every) == "narrow"
    assert chosen(every, frozenset({"money"})) == "tagged"
    assert chosen([*default_rules(), mine]) == "mine"
    assert chosen(list(default_rules())) == "default-task_failure"
    assert chosen([replace(mine, enabled=False)]) is None
    assert chosen([rule("task_failure", count=5)]) is None


def test_rule_with_a_count_is_a_second_alert_that_ends_with_the_first() -> None:
    often = rule("task_failure", id="often", count=3, severity="CRITICAL", channels=["boss"])
    four = failure(count=4, routed_at=NOW)
    assert not plan(Standing(watched=[failure(count=2)]), [], [often], NOW, Telling()).raises
    (step,) = plan(Standing(watched=[four]), [], [often], NOW, Telling()).raises
    assert (step.severity, step.alert.message) == ("CRITICAL", "4 times: it failed")
    assert [one.channel for one in step.notifications] == ["boss"]
    second = replace(step.alert, routed_at=NOW)
    assert not plan(Standing(watched=[four, second]), [], [often], NOW, Telling())
    assert plan(Standing(watched=[second]), [], [often], NOW, Telling()).clears == (second,)


def test_failure_clears_by_itself_when_its_task_succeeds_if_the_rule_says_so() -> None:
    mends = rule("task_failure", auto_clear=True)
    open_one = failure(rule_id=mends.id, routed_at=NOW)
    since = Standing(watched=[open_one], recovered={"settle": NOW + 1})
    before = Standing(watched=[open_one], recovered={"settle": NOW - 1})
    assert plan(since, [], [mends], NOW, Telling()).clears == (open_one,)
    assert not plan(before, [], [mends], NOW, Telling()).clears
    assert not plan(since, [], [replace(mends, auto_clear=False)], NOW, Telling()).clears


def test_message_says_what_happened_since_when_how_often_and_what_to_do() -> None:
    body = compose(failure(count=3), Occasion.REPEATED, "https://desk.example")
    assert body["subject"] == "[ERROR] still open: it failed"
    for part in ("ValueError: no price", "3 times", "What to do:", "https://desk.example/runs/r1"):
        assert part in body["text"]
    assert "secret" not in str(body)
    plain = compose(failure(message="a\nb" + "x" * 500), Occasion.RAISED, None)
    assert "\n" not in plain["subject"]
    assert len(plain["subject"]) == 200
    assert plain["links"] == {}
