"""The plan of alerts: whatever happens, nobody is woken for nothing and nothing is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.core.alert import SYSTEM, Alert, AlertState
from closingbell.core.alert_plan import Finding, Plan
from closingbell.core.alert_rule import AlertRule, read_alert_rule
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.notification import Notification
from closingbell.core.quiet_hours import QuietHours, read_quiet_hours
from closingbell.monitor.alerting.condition import RULE
from closingbell.monitor.alerting.plan import Standing, Telling, plan

START = to_micros(datetime(2026, 3, 27, 18, 0, tzinfo=UTC))
SECOND = 1_000_000
TELLING = Telling(channels=("desk", "mail", "log"))


class Board:
    """What a store does with a plan, in memory."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.messages: dict[str, Notification] = {}

    def standing(self, now: int) -> Standing:
        every = list(self.alerts.values())
        due = [a for a in every if a.routed_at is None or (a.next_step_at or now + 1) <= now]
        told = {
            a.id: sorted({m.channel for m in self.messages.values() if m.alert_id == a.id})
            for a in every
        }
        return Standing(watched=[a for a in every if a.cleared_at is None], due=due, told=told)

    def raise_by_engine(self, task: str, now: int) -> None:
        subject = f"task_failure:{task}"
        for alert in self.alerts.values():
            if alert.subject == subject and alert.cleared_at is None:
                counted = replace(alert, count=alert.count + 1, last_at=now, note=f"{now}")
                self.alerts[alert.id] = counted
                return
        fresh = Alert(
            f"{subject}:{now}", "task_failure", "ERROR", subject, None, task, None, "failed", {},
            1, f"{now}", now, now,
        )  # fmt: skip
        self.alerts[fresh.id] = fresh

    def clear(self, alert: Alert, now: int, who: str) -> None:
        routed = alert.routed_at if alert.routed_at is not None else now
        self.alerts[alert.id] = replace(
            alert, cleared_at=now, cleared_by=who, routed_at=routed, next_step_at=now
        )

    def acknowledge(self, alert: Alert, now: int) -> None:
        self.alerts[alert.id] = replace(
            alert, acknowledged_at=now, acknowledged_by="ann", next_step_at=None
        )

    def carry_out(self, planned: Plan, now: int) -> list[Notification]:
        made: list[Notification] = []
        for alert in planned.clears:
            self.clear(self.alerts[alert.id], now, SYSTEM)
        for count in planned.counts:
            alert = self.alerts[count.alert_id]
            self.alerts[alert.id] = replace(
                alert, count=alert.count + 1, note=count.finding.note, last_at=now
            )
        for step in planned.raises:
            subjects = {a.subject for a in self.alerts.values() if a.cleared_at is None}
            assert step.alert.subject not in subjects
            self.alerts[step.alert.id] = replace(
                step.alert, routed_at=now, next_step_at=step.next_step_at, severity=step.severity
            )
            made += step.notifications
        for step in planned.steps:
            stored = self.alerts[step.alert.id]
            self.alerts[stored.id] = replace(
                stored,
                routed_at=now if step.routes else stored.routed_at,
                rule_id=step.rule_id,
                severity=step.severity,
                next_step_at=step.next_step_at,
            )
            made += step.notifications
        fresh = [one for one in made if one.id not in self.messages]
        self.messages.update({one.id: one for one in fresh})
        return fresh


quiet = st.sampled_from(
    [
        None,
        read_quiet_hours({"from": "22:00", "to": "07:00", "zone": "Europe/London"}),
        read_quiet_hours({"from": "00:00", "to": "24:00", "days": ["sat", "sun"]}),
        read_quiet_hours({"from": "01:30", "to": "02:30", "zone": "America/New_York"}),
    ]
)


@st.composite
def rules(draw: st.DrawFn, kind: str, identity: str) -> AlertRule:
    escalates = draw(st.booleans())
    return replace(
        read_alert_rule({"id": identity, "kind": kind}),
        severity=draw(st.sampled_from(["WARNING", "ERROR", "CRITICAL"])),
        channels=tuple(draw(st.lists(st.sampled_from(["*", "desk", "mail"]), max_size=3))),
        repeat_s=draw(st.sampled_from([None, 60.0, 3_600.0])),
        quiet_hours=draw(quiet),
        escalate_after_s=draw(st.sampled_from([0.0, 600.0, 7_200.0])) if escalates else None,
        escalate_to=("boss",) if escalates else (),
    )


#: What happens, and how many seconds later: nothing, a failure, a look that finds the cause (of
#: a note) or does not, and what a person does.
events = st.lists(
    st.tuples(
        st.integers(1, 20_000),
        st.sampled_from(["wait", "fail", "seen", "other", "gone", "ack", "clear"]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=80)
@given(raised=rules("task_failure", "failures"), polled=rules("overdue", "late"), happening=events)
def test_plans_keep_every_promise_whatever_happens(
    raised: AlertRule, polled: AlertRule, happening: list[tuple[int, str]]
) -> None:
    board, now, both = Board(), START, (raised, polled)
    subject = f"{RULE}:late:task:settle"
    for wait_s, what in happening:
        now += wait_s * SECOND
        findings: list[Finding] | None = None
        if what == "fail":
            board.raise_by_engine("settle", now)
        elif what in ("seen", "other"):
            note = "first" if what == "seen" else f"{now}"
            findings = [Finding(polled, subject, note, "it is late", "settle", None, {})]
        elif what == "gone":
            findings = []
        elif what in ("ack", "clear"):
            for alert in [a for a in board.alerts.values() if a.cleared_at is None][:1]:
                if what == "clear":
                    board.clear(alert, now, "ann")
                elif alert.acknowledged_at is None:
                    board.acknowledge(alert, now)
        before = dict(board.alerts)
        made = board.carry_out(plan(board.standing(now), findings, both, now, TELLING), now)
        for one in made:
            alert = board.alerts[one.alert_id]
            rule = raised if alert.type == "task_failure" else polled
            check_message(one, alert, before.get(alert.id), rule, now)
        check_board(board, now)
        # The same look again only tells of what has just been cleared; after that, nothing.
        again = plan(board.standing(now), findings, both, now, TELLING)
        assert (again.raises, again.counts, again.clears) == ((), (), ())
        assert {one.occasion for one in board.carry_out(again, now)} <= {"cleared"}
        assert not plan(board.standing(now), findings, both, now, TELLING)


def check_message(
    one: Notification, alert: Alert, was: Alert | None, rule: AlertRule, now: int
) -> None:
    assert one.next_at is not None
    assert one.next_at >= now
    if alert.severity != "CRITICAL" and rule.quiet_hours is not None:
        due = from_micros(one.next_at)
        assert rule.quiet_hours.until(due) == due
    else:
        assert one.next_at == now
    if one.occasion in ("repeated", "escalated"):
        assert alert.state is AlertState.OPEN
    if was is not None and was.cleared_at is not None:
        assert one.occasion == "cleared"


def check_board(board: Board, now: int) -> None:
    open_subjects = [a.subject for a in board.alerts.values() if a.cleared_at is None]
    assert len(open_subjects) == len(set(open_subjects))
    for alert in board.alerts.values():
        raised = [
            m.channel
            for m in board.messages.values()
            if m.alert_id == alert.id and m.occasion == "raised"
        ]
        assert len(raised) == len(set(raised))
        assert alert.routed_at is not None
        if alert.acknowledged_at is not None and alert.cleared_at is None:
            assert alert.next_step_at is None
        assert alert.cleared_at is not None or (alert.next_step_at or now + 1) > now


@given(
    hours=quiet.filter(lambda one: one is not None),
    minutes=st.integers(0, 400 * 1_440),
    seconds=st.integers(0, 59),
)
def test_quiet_hours_end_at_the_first_moment_that_is_not_quiet(
    hours: QuietHours, minutes: int, seconds: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds)
    end = hours.until(at)
    assert end >= at
    assert hours.until(end) == end
    if end > at:
        # A moment before it was still quiet.
        assert hours.until(end - timedelta(seconds=1)) >= end
        assert end - at <= timedelta(hours=49)


def test_every_channel_of_a_rule_is_told_once_and_again_only_when_it_repeats() -> None:
    rule = read_alert_rule(
        {
            "kind": "task_failure",
            "channels": ["*", "desk"],
            "repeat_s": 3600,
            "escalate_after_s": 1800,
            "escalate_to": ["boss"],
        }
    )
    board, now = Board(), START
    board.raise_by_engine("settle", now)
    told: list[tuple[int, str, str]] = []
    for minute in range(0, 181, 10):
        now = START + minute * 60 * SECOND
        for one in board.carry_out(plan(board.standing(now), None, [rule], now, TELLING), now):
            told.append((minute, one.occasion, one.channel))
    everyone = ("desk", "mail", "log")
    assert told == [
        *((0, "raised", name) for name in everyone),
        (30, "escalated", "boss"),
        *((m, "repeated", name) for m in (60, 120, 180) for name in everyone),
    ]
