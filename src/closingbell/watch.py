"""AlertWatch: looks at what the rules are about, carries plans out, and has messages sent.

Any number of watches may be alive on one store: an alert is one open row of its subject, and each
step names the state that it was planned from. One of them looks for all, as its turn lasts.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from closingbell.alert_reading import AlertReading
from closingbell.core.alert_plan import Finding
from closingbell.core.alert_rule import AlertRule
from closingbell.core.clock import Clock
from closingbell.core.error import DeliveryFailed, StoreError, UnknownAlert
from closingbell.core.notification import Notification, Occasion
from closingbell.monitor.alerting.condition import find
from closingbell.monitor.alerting.plan import Standing, Telling, moved, plan, rule_of
from closingbell.monitor.notify.channels import Channels
from closingbell.monitor.notify.postman import Postman
from closingbell.store.store import Store

_log = logging.getLogger("closingbell.alerts")

_TURN = "alert_watch"
_SECOND = 1_000_000
#: In machine seconds: between two looks at what is new, and at what the rules are about.
_LOOK_S, _POLL_S = 0.5, 5.0
#: Looking may take this part of the time at most.
_SHARE = 0.05
_TURN_S = 30.0
#: A cause is gone when it was not seen for so long, in machine seconds.
_LINGER_S = 20.0
#: What a person cleared comes back after so long, when its cause lasts.
_DISMISSED_S = 86_400


class AlertWatch:
    """The watch of one process: a thread that looks, and one that sends."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        reading: AlertReading,
        channels: Channels,
        tags: Callable[[], Mapping[str, frozenset[str]]],
        public_url: str | None,
    ) -> None:
        """Make a watch; `start` sets it to work.

        Args:
            store: what is watched.
            clock: the desk's time.
            reading: reads what the rules look at.
            channels: that this process can speak to.
            tags: returns the tags of the tasks that are known here.
            public_url: for links in messages.
        """
        self._store = store
        self._clock = clock
        self._reading = reading
        self._channels = channels
        self._tags = tags
        self._public_url = public_url
        rng = Random(os.urandom(16))  # noqa: S311  (jitter of waits)
        self._postman = Postman(store.notifications, channels, clock, rng, self._not_before)
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._next_poll = clock.monotonic()
        self._absent: dict[str, float] = {}
        self._look_loop = _Loop("closingbell-alerts", clock, self.step)
        self._send_loop = _Loop("closingbell-postman", clock, self.send)

    def start(self) -> None:
        """Begin; a watch that is at work is left alone."""
        self._look_loop.start()
        self._send_loop.start()

    def stop(self) -> None:
        """End after the step in hand; what is not sent by then stays in the outbox."""
        if self._look_loop.stop() | self._send_loop.stop():
            try:
                self._store.turns.leave(_TURN, self._holder)
            except StoreError as problem:
                _log.debug("the turn ends by itself: %s", problem)

    def wake(self) -> None:
        """Say that an alert was raised; from any thread."""
        self._look_loop.wake()

    # --- looking -----------------------------------------------------------------------------

    def step(self) -> int | None:
        """Do what is due; return when to look again, None = when woken."""
        now = self._clock.micros()
        following = self._store.alerts.next_step()
        is_due = following is not None and following <= now
        polls = self._clock.monotonic() >= self._next_poll and self._has_turn()
        if is_due or polls:
            self._carry_out(polls, now)
            following = self._store.alerts.next_step()
        return following

    def _has_turn(self) -> bool:
        now = self._store.queue.machine_micros()
        until = now + round(_TURN_S * _SECOND)
        if self._store.turns.take(_TURN, self._holder, now, until):
            return True
        self._next_poll = self._clock.monotonic() + _POLL_S
        return False

    def _carry_out(self, polls: bool, now: int) -> None:
        began = self._clock.monotonic()
        store = self._store
        rules = [stored.rule for stored in store.alert_rules.all() if stored.rule.enabled]
        findings, unseen = self._look(rules, now) if polls else (None, frozenset[str]())
        standing = self._standing(rules, findings, now)
        lingering = frozenset[str]()
        if findings is not None:
            blind = {a.subject for a in standing.watched if a.rule_id in unseen}
            lingering = self._lingering(standing, findings) | blind
        planned = plan(standing, findings, rules, now, self._telling(), lingering)
        if planned and store.alerts.carry_out(planned, now):
            self._send_loop.wake()
        if polls:
            ended = self._clock.monotonic()
            # A simulated clock moves for other reasons than that looking takes time.
            took_s = ended - began if self._clock.speed else 0.0
            self._next_poll = ended + max(_POLL_S, took_s / _SHARE)

    def _look(self, rules: Sequence[AlertRule], now: int) -> tuple[list[Finding], frozenset[str]]:
        """Return what rules see, and the ids of those that could not look."""
        found: list[Finding] = []
        unseen: set[str] = set()
        for kind in sorted({rule.kind for rule in rules}):
            mine = [rule for rule in rules if rule.kind == kind]
            try:
                found += self.findings(mine, now)
            except StoreError:
                raise
            except Exception:
                # One kind that cannot look must not silence the others.
                _log.exception("rules of kind %s cannot look; they will be tried again", kind)
                unseen |= {rule.id for rule in mine}
        return found, frozenset(unseen)

    def findings(self, rules: Sequence[AlertRule], now: int) -> list[Finding]:
        """Return what some rules see at present."""
        facts = self._reading.facts(rules, now, self._tags())
        return [finding for rule in rules for finding in find(rule, facts, now)]

    def _standing(
        self, rules: Sequence[AlertRule], findings: Sequence[Finding] | None, now: int
    ) -> Standing:
        store = self._store
        due = store.alerts.due(now)
        told = store.alerts.told([alert.id for alert in due if alert.cleared_at is not None])
        if findings is None:
            return Standing(due=due, told=told)
        ending = {
            r.kind for r in rules if r.about.is_raised and (r.auto_clear or (r.count or 1) > 1)
        }
        watched = store.alerts.watched(sorted(ending))
        known = {alert.subject for alert in watched}
        fresh = [finding.subject for finding in findings if finding.subject not in known]
        recovering = {a.task for a in watched if a.task and not a.subject.startswith("rule:")}
        return Standing(
            watched=watched,
            due=due,
            told=told,
            dismissed=store.alerts.dismissed(fresh, now - _DISMISSED_S * _SECOND),
            recovered=store.alert_facts.successes(recovering),
        )

    def _lingering(self, standing: Standing, findings: Sequence[Finding]) -> frozenset[str]:
        """Return what is not seen any more, but was not long ago: causes that come and go."""
        now = self._clock.monotonic()
        seen = {finding.subject for finding in findings}
        gone = {alert.subject for alert in standing.watched} - seen
        self._absent = {subject: self._absent.get(subject, now) for subject in gone}
        return frozenset(s for s, since in self._absent.items() if now - since < _LINGER_S)

    def _telling(self) -> Telling:
        return Telling(self._channels.names, self._tags(), self._public_url)

    # --- sending -----------------------------------------------------------------------------

    def send(self) -> int | None:
        """Send what is due; return when to look again, None = when woken."""
        while self._postman.round() and not self._send_loop.stopped:
            pass
        return self._postman.next_due()

    def _not_before(self, one: Notification, at: int) -> int:
        try:
            alert = self._store.alerts.get(one.alert_id)
        except UnknownAlert:
            return at
        rules = [stored.rule for stored in self._store.alert_rules.all()]
        tags = self._tags().get(alert.task or "", frozenset())
        rule = rule_of(alert, rules, tags)
        return at if rule is None else moved(alert.severity, rule, at)

    def try_channel(self, name: str) -> str | None:
        """Send a test message at once; return what went wrong, or None.

        Raises:
            UnknownChannel: this process declares no such channel.
        """
        channel, now = self._channels.get(name), self._clock.micros()
        message = Notification(
            id=f"n-test-{os.urandom(12).hex()}",
            alert_id="test",
            channel=name,
            occasion=str(Occasion.TEST),
            body=_test_body(name),
            state="sending",
            attempts=1,
            fence=1,
            next_at=now,
            created_at=now,
            sent_at=None,
            error=None,
        )
        problem: str | None = None
        try:
            channel.send(message, self._clock.now())
        except DeliveryFailed as failure:
            problem = failure.problem
        self._store.audit.append("channel.tested", "channel", name, after={"sent": problem is None})
        return problem


def _test_body(name: str) -> dict[str, Any]:
    text = f"This is a test of channel {name!r}. Nothing has happened, and nothing is to be done."
    return {
        "subject": f"[INFO] test of channel {name}",
        "text": text,
        "type": "alert.test",
        "severity": "INFO",
    }


class _Loop:
    """Repeats a step on a thread: when it is due, when it is woken, and now and then."""

    def __init__(self, name: str, clock: Clock, step: Callable[[], int | None]) -> None:
        self._name = name
        self._clock = clock
        self._step = step
        self._changed = threading.Condition()
        self._look = True
        self._thread: threading.Thread | None = None
        self.stopped = False

    def start(self) -> None:
        with self._changed:
            if self._thread is None and not self.stopped:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def stop(self) -> bool:
        """End, and wait for it; whether it was at work."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
        if self._thread is None:
            return False
        self._thread.join(timeout=10)
        return True

    def wake(self) -> None:
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def _run(self) -> None:
        idle_us = round(_LOOK_S * self._clock.speed * _SECOND)
        pause_s = 0.0
        while not self.stopped:
            until: int | None = None
            try:
                until, pause_s = self._step(), 0.0
            except StoreError as problem:
                pause_s = min(max(pause_s * 2, 0.1), 5.0)
                _log.debug("%s waits for the store: %s", self._name, problem)
            except Exception:
                pause_s = min(max(pause_s * 2, 1.0), 60.0)
                _log.exception("%s failed; it will be tried again", self._name)
            if idle_us:
                latest = self._clock.micros() + idle_us
                until = latest if until is None else min(until, latest)
            with self._changed:
                if pause_s:
                    self._changed.wait(pause_s)
                elif not self._look and not self.stopped:
                    self._clock.wait(self._changed, until)
                self._look = False
