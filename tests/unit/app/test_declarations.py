"""What an app declares is there as values, before any store is opened."""

from __future__ import annotations

from pathlib import Path

from closingbell import create_app
from closingbell.app import App
from closingbell.core.event_trigger import EventTrigger
from closingbell.triggers import Every


def _app(tmp_path: Path) -> App:
    app = create_app(tmp_path / "desk.db")

    @app.task(on_event=["daily_close", "order_filled"], where="account == 'main'")
    def report(payload: dict[str, object]) -> None: ...

    @app.task(interval="5m")
    def risk_scan(threshold: float = 1.0) -> None: ...

    return app


def test_event_triggers_of_tasks_and_calls_are_declared_without_a_store(tmp_path: Path) -> None:
    app = _app(tmp_path)
    made = app.on("position_change", "risk_scan", where="change > 5", priority=2)

    declared = app.declared_event_triggers

    assert declared["report@daily_close"] == EventTrigger(
        id="report@daily_close",
        event_type="daily_close",
        task="report",
        where="account == 'main'",
        source="task",
    )
    assert declared[made] == EventTrigger(
        id=made, event_type="position_change", task="risk_scan", where="change > 5", priority=2
    )
    assert set(declared) == {"report@daily_close", "report@order_filled", made}
    assert not (tmp_path / "desk.db").exists()


def test_event_triggers_and_schedules_of_the_scheduler_are_declared_too(tmp_path: Path) -> None:
    app = _app(tmp_path)
    trigger_id = app.scheduler.schedule_event_trigger(
        "risk_scan", "position_change", {"threshold": 1_000_000}, priority=2
    )
    schedule_id = app.scheduler.schedule_cron_task("risk_scan", "0 9 * * MON", {}, priority=3)
    own = app.schedule("risk_scan", Every("1h"))

    schedules, triggers = app.declared_schedules, app.declared_event_triggers
    app.scheduler.cancel_task(trigger_id)
    app.scheduler.cancel_task(schedule_id)
    left = {*app.declared_schedules, *app.declared_event_triggers}
    app.stop()

    assert set(schedules) == {"risk_scan", str(schedule_id), own.id}
    assert (schedules[schedule_id].priority, schedules[schedule_id].task) == (3, "risk_scan")
    assert (triggers[trigger_id].payload, triggers[trigger_id].priority) == (
        {"threshold": 1_000_000},
        2,
    )
    assert left == {"risk_scan", own.id, "report@daily_close", "report@order_filled"}


def test_same_event_trigger_declared_twice_is_one(tmp_path: Path) -> None:
    app = _app(tmp_path)

    first = app.on("daily_close", "risk_scan", payload={"threshold": 2.0})
    second = app.on("daily_close", "risk_scan", payload={"threshold": 2.0})
    other = app.on("daily_close", "risk_scan", payload={"threshold": 3.0})

    assert first == second != other
