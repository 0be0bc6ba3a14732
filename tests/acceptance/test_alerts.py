"""Alerts of a running desk: raised, told, repeated, acknowledged, cleared, on its own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from closingbell import App, Task, create_app
from closingbell.core.alert import Alert, AlertState
from closingbell.core.clock import SimulatedClock
from closingbell.core.error import AlertRuleError, ArgumentRefused, ChannelError, SettingError
from tests.unit.monitor.receiver import Receiver

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
    return found


def failing(app: App) -> None:
    @app.task(retries=0)
    def settle() -> None:
        raise ValueError("no price")


def quiet_app(address: str, **more: Any) -> App:
    return create_app(address, guardian=False, **more)


def alerts_of(app: App, kind: str) -> list[Alert]:
    return app.store.alerts.page(kind=kind)


def test_failure_is_told_within_a_second_with_what_a_person_needs(
    store_address: str, receiver: Receiver
) -> None:
    app = quiet_app(store_address, public_url="https://desk.example/")
    failing(app)
    app.add_channel("desk", webhook=receiver.url, secret="a secret of sixteen")
    with app.running():
        handle = app.submit("settle")
        began = time.monotonic()
        assert receiver.came.acquire(timeout=20)
        assert time.monotonic() - began < 5
        until(lambda: app.store.notifications.page(state="sent"), "the message's end")
    body = receiver.received[0].json
    assert body["type"] == "alert.raised"
    told = body["data"]
    assert told["subject"].startswith("[ERROR] task 'settle' failed")
    assert "ValueError: no price" in told["text"]
    assert f"https://desk.example/runs/{handle.id}" in told["text"]
    assert "closingbell alert ack" in told["text"]
    # The traceback may quote what only the desk itself may show.
    assert "traceback" not in told["alert"]["data"]
    app.stop()


def test_overdue_run_repeats_escalates_and_clears_on_a_simulated_clock(
    sqlite_address: str, receiver: Receiver
) -> None:
    clock = SimulatedClock(START)
    app = quiet_app(sqlite_address, clock=clock)

    @app.task
    def settle() -> None:
        pass

    app.add_channel("desk", webhook=receiver.url)
    app.add_channel("boss", webhook=receiver.url.replace("/hook", "/boss"))
    app.add_alert_rule(
        "overdue",
        task="settle",
        for_s=60,
        channels=["desk"],
        repeat_s=600,
        escalate_after_s=900,
        escalate_to=["boss"],
    )
    handle = app.submit("settle")

    def occasions() -> list[tuple[str, str]]:
        found = app.store.notifications.page(state="sent")
        mine = [one for one in found if "overdue-settle" in str(one.body["alert"]["rule_id"])]
        return [(one.occasion, one.channel) for one in reversed(mine)]

    def at(minutes: float, *expected: tuple[str, str]) -> None:
        # What looks and what sends wait on the clock: a little time lets both take a step.
        clock.advance(max(clock.now(), START + timedelta(minutes=minutes)))

        def step() -> bool:
            clock.advance(timedelta(milliseconds=200))
            return sorted(occasions()) == sorted(expected)

        until(step, f"what is told after {minutes} minutes ({occasions()})")

    with app.running(worker=False):
        first = ("raised", "desk")
        at(2, first)
        at(13, first, ("repeated", "desk"))
        at(18, first, ("repeated", "desk"), ("escalated", "boss"))
        handle.cancel()
        at(
            20, first, ("repeated", "desk"), ("escalated", "boss"),
            ("cleared", "boss"), ("cleared", "desk"),
        )  # fmt: skip
        (alert,) = [a for a in alerts_of(app, "overdue") if a.rule_id == "overdue-settle"]
        assert (alert.state, alert.cleared_by) == (AlertState.CLEARED, "closingbell")
    app.stop()


def test_acknowledged_failure_is_told_no_more_and_the_next_one_is_counted(
    sqlite_address: str, receiver: Receiver
) -> None:
    clock = SimulatedClock(START)
    app = quiet_app(sqlite_address, clock=clock)
    failing(app)
    app.add_channel("desk", webhook=receiver.url)
    app.add_alert_rule("task_failure", channels=["desk"], repeat_s=60)
    with app.running():
        app.submit("settle")
        until(lambda: len(receiver.received) == 1, "the first message")
        (alert,) = app.monitor.get_alerts()
        with app.acting_as("ann"):
            app.monitor.alerts.acknowledge(alert["id"])
        for _ in range(5):
            clock.advance(timedelta(minutes=2))
        app.submit("settle")
        until(lambda: app.monitor.get_alerts()[0]["count"] == 2, "the second failure")
        assert app.monitor.get_alerts()[0]["acknowledged_by"] == "ann"
        assert len(receiver.received) == 1
    app.stop()


def test_quiet_hours_hold_a_message_back_until_they_end(
    sqlite_address: str, receiver: Receiver
) -> None:
    clock = SimulatedClock(START)
    app = quiet_app(sqlite_address, clock=clock)
    failing(app)
    app.add_channel("desk", webhook=receiver.url)
    app.add_alert_rule(
        "task_failure",
        channels=["desk"],
        quiet_hours={"from": "14:00", "to": "15:00", "zone": "UTC"},
    )
    with app.running():
        app.submit("settle")
        (held,) = until(lambda: app.store.notifications.page(), "the decision")
        assert held.next_at == int(START.replace(minute=0, hour=15).timestamp()) * 1_000_000
        clock.advance(timedelta(minutes=29))
        assert app.store.notifications.page(state="sent") == []
        clock.advance(timedelta(minutes=2))
        assert receiver.came.acquire(timeout=20)
    app.stop()


def test_two_processes_on_one_store_tell_once(store_address: str, receiver: Receiver) -> None:
    apps = [quiet_app(store_address) for _ in range(3)]
    for app in apps:
        failing(app)
        app.add_channel("desk", webhook=receiver.url)
        app.start(block=False)
    for _ in range(5):
        apps[0].submit("settle")
    until(lambda: [a.count for a in alerts_of(apps[0], "task_failure")] == [5], "five failures")
    until(lambda: apps[0].store.notifications.page(state="sent"), "the message")
    for app in apps:
        app.stop()
    assert len(receiver.received) == 1


def test_task_with_its_own_alert_manager_raises_the_runs_alert(sqlite_address: str) -> None:
    """The task page's portfolio monitor is given an alert manager and calls it."""
    app = quiet_app(sqlite_address)

    class Monitor(Task):
        def __init__(self, alert_manager: Any) -> None:
            super().__init__(name="portfolio_monitor", interval="5m")
            self.alert_manager = alert_manager

        def run(self, algorithm: Any) -> None:
            self.alert_manager.send_alert("Portfolio down 12.00%", severity="critical", by=0.12)

    app.add_task(Monitor(app.monitor.alerts))
    with app.running():
        handle = app.submit("portfolio_monitor")
        handle.result(20)
        (alert,) = app.monitor.get_alerts("task_alert")
    assert (alert["task_name"], alert["task_id"]) == ("portfolio_monitor", handle.id)
    assert (alert["severity"], alert["message"]) == ("CRITICAL", "Portfolio down 12.00%")
    with pytest.raises(ArgumentRefused, match="severity"):
        app.monitor.alerts.send_alert("x", severity="HIGH")
    app.stop()


def test_alert_manager_of_a_backtested_task_reports_and_raises_nothing(
    sqlite_address: str,
) -> None:
    app = quiet_app(sqlite_address)

    @app.task(interval="daily", time="22:00")
    def watch() -> None:
        app.monitor.alerts.send_alert("look here", severity="ERROR")

    report = app.backtest("2012-11-19", "2012-11-20")
    assert [(a.severity, a.message) for a in report.alerts] == [("ERROR", "look here")] * 2
    assert app.store.alerts.page() == []
    app.stop()


def test_poison_run_is_an_alert_of_its_own(sqlite_address: str) -> None:
    from closingbell.core.outcome import Lost
    from closingbell.core.run import Claim
    from closingbell.engine.attempt import Attempts

    app = quiet_app(sqlite_address, poison_after=2)
    failing(app)
    with app.running():
        attempts: Attempts = app.machinery._runtime._attempts  # type: ignore[union-attr]
        claim = Claim(
            id="r", fence=3, task="settle", payload="{}", attempt=1, max_attempts=9,
            timeout_s=1.0, due_at=0, fire_at=None, session_date=None, schedule_id=None,
            executor="thread", lost_count=1, cancel_reason=None, started_at=0, trace=None,
        )  # fmt: skip
        settled = attempts.settle_claim(claim, None, Lost({"type": "WorkerLost"}), None)
    assert settled.alert is not None
    assert (settled.alert.type, settled.alert.severity) == ("poison_run", "CRITICAL")
    app.stop()


# --- declaring -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "overdu"}, "did you mean 'overdue'"),
        ({"kind": "drawdown"}, "fraction"),
        ({"kind": "drawdown", "fraction": 1.5}, "fraction"),
        ({"kind": "drawdown", "fraction": float("nan")}, "fraction"),
        ({"kind": "overdue", "for_s": -1}, "for_s"),
        ({"kind": "overdue", "for_s": True}, "for_s"),
        ({"kind": "overdue", "fraction": 0.1}, "for_s for overdue"),
        ({"kind": "overdue", "account": "main"}, "task, tag, schedule"),
        ({"kind": "overdue", "fors": 3}, "did you mean 'for_s'"),
        ({"kind": "overdue", "severity": "HIGH"}, "INFO, WARNING"),
        ({"kind": "overdue", "channels": "desk"}, "a list"),
        ({"kind": "overdue", "repeat_s": 1}, "60 or more"),
        ({"kind": "overdue", "escalate_after_s": 60}, "channels with"),
        ({"kind": "overdue", "escalate_to": ["boss"]}, "channels with"),
        ({"kind": "overdue", "id": "a b"}, "letters"),
        ({"kind": "task_alert", "auto_clear": True}, "not seen"),
        ({"kind": "calendar_ending", "days": 1.5}, "days"),
        ({"kind": "overdue", "quiet_hours": {"from": "22:00"}}, "quiet hours"),
        ({"kind": "overdue", "quiet_hours": {"from": "9", "to": "10:00"}}, "22:00"),
        (
            {"kind": "overdue", "quiet_hours": {"from": "00:00", "to": "24:00"}},
            "some time at which",
        ),
    ],
)
def test_rule_with_an_impossible_value_is_refused_with_what_was_expected(
    sqlite_address: str, fields: dict[str, Any], named: str
) -> None:
    app = quiet_app(sqlite_address)
    with pytest.raises(AlertRuleError, match=named):
        app.add_alert_rule(**fields)


def test_rules_of_one_kind_have_ids_of_their_own(sqlite_address: str) -> None:
    app = quiet_app(sqlite_address)
    assert app.add_alert_rule("overdue", task="settle", for_s=60) == "overdue-settle"
    assert app.add_alert_rule("overdue", task="settle", for_s=60) == "overdue-settle"
    with pytest.raises(AlertRuleError, match="no other rule"):
        app.add_alert_rule("overdue", task="settle", for_s=90)
    app.add_alert_rule("overdue", id="late-for-good", task="settle", for_s=900)
    stored = {one.rule.id: one.source for one in app.store.alert_rules.all()}
    assert stored["overdue-settle"] == stored["late-for-good"] == "code"
    assert stored["default-task_failure"] == "default"
    app.stop()


def test_rule_that_is_declared_with_the_id_of_a_default_one_takes_its_place(
    sqlite_address: str,
) -> None:
    app = quiet_app(sqlite_address)
    app.add_alert_rule("overdue", id="default-overdue", for_s=900)
    [stored] = [one for one in app.store.alert_rules.all() if one.rule.kind == "overdue"]
    assert (stored.rule.for_s, stored.source) == (900.0, "code")
    app.stop()


def test_channels_come_from_the_settings_file_too(tmp_path: Path, receiver: Receiver) -> None:
    file = tmp_path / "desk.toml"
    file.write_text(
        f'[channels.desk]\nwebhook = "{receiver.url}"\nsecret = "a secret of sixteen"\n'
        "[channels.quiet]\nlog = true\n"
    )
    app = create_app(tmp_path / "a.db", settings_file=file)
    assert app.channels.names == ("desk", "quiet")
    assert "secret" not in repr(app.settings).replace("oidc_client_secret", "")
    assert app.machinery.alert_watch.try_channel("desk") is None
    assert receiver.received[0].json["type"] == "alert.test"
    receiver.answers.append(500)
    assert app.machinery.alert_watch.try_channel("desk") == "the receiver answered 500"
    app.stop()
    file.write_text('[channels.desk]\nwebhok = "x"\n')
    with pytest.raises(ChannelError):
        create_app(tmp_path / "a.db", settings_file=file)
    with pytest.raises(SettingError):
        create_app(tmp_path / "a.db", channels="nonsense")


def test_receiver_that_hangs_does_not_hold_up_another_channel(
    sqlite_address: str, receiver: Receiver
) -> None:
    app = quiet_app(sqlite_address)
    failing(app)
    with Receiver() as stuck:
        stuck.gate = threading.Event()
        app.add_channel("stuck", webhook=stuck.url, timeout_s=30)
        app.add_channel("desk", webhook=receiver.url)
        with app.running():
            app.submit("settle")
            assert stuck.came.acquire(timeout=20)
            assert receiver.came.acquire(timeout=20)
            stuck.gate.set()
            until(lambda: len(app.store.notifications.page(state="sent")) == 2, "both")
    app.stop()


def test_every_kind_of_rule_looks_at_a_desk_with_an_account_a_venue_and_a_schedule(
    store_address: str,
) -> None:
    from closingbell.core.alert_kind import KINDS
    from closingbell.core.alert_rule import read_alert_rule
    from closingbell.monitor.figures import merge_encoded
    from closingbell.monitor.recorder import rows_elsewhere

    clock = SimulatedClock(START)
    app = quiet_app(store_address, clock=clock)
    app.add_account("main", cash=1_000)

    @app.task(session="XLON close+5m", tags=["money"])
    def settle() -> None: ...

    wide = {"days": 4_000, "for_s": 0, "fraction": 0.0, "size_bytes": 1, "count": 1}
    rules = [
        read_alert_rule(
            {
                "kind": kind.name,
                **{field: wide[field] for field in kind.thresholds if field in wide},
                **({"fraction": 1.0} if kind.name == "store_nearly_full" else {}),
            }
        )
        for kind in KINDS.values()
    ]
    watch, store = app.machinery.alert_watch, app.store
    app.submit("settle")
    clock.advance(timedelta(days=1))
    for ended in ("success", "failed"):
        rows = rows_elsewhere("settle", ended, clock.micros() - 1, clock.micros())
        store.performance.add(rows, 0, merge_encoded)
    machine = store.queue.machine_micros()
    store.workers.register("w", "h", 1, {}, machine - 9_000_000, machine - 1_000_000)
    clock.advance(timedelta(seconds=1))
    found = {finding.rule.kind for finding in watch.findings(rules, clock.micros())}
    assert found == {
        "overdue", "did_not_run", "queue_age", "worker_lost", "store_nearly_full",
        "calendar_ending", "failure_rate",
    }  # fmt: skip
    venues = [f.data["venue"] for f in watch.findings(rules, clock.micros()) if "venue" in f.data]
    assert sorted(venues) == ["XLON", "XNYS"]
    app.stop()


def test_kind_that_cannot_look_silences_no_other_and_clears_nothing(
    sqlite_address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SimulatedClock(START)
    app = quiet_app(sqlite_address, clock=clock)

    @app.task
    def settle() -> None: ...

    app.submit("settle")
    watch = app.machinery.alert_watch
    clock.advance(timedelta(minutes=10))
    watch.step()
    (alert,) = app.store.alerts.page(kind="overdue")

    def broken(*_: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(app.store.alert_facts, "waiting", broken)
    for _ in range(20):
        clock.advance(timedelta(seconds=10))
        app.store.alerts.put(f"{clock.micros()}", "task_alert", f"{clock.micros()}", clock.micros())
        watch.step()
    assert app.store.alerts.get(alert.id).state is AlertState.OPEN
    assert all(one.routed_at is not None for one in app.store.alerts.page())
    assert "rules of kind overdue cannot look" in caplog.text
    app.stop()
