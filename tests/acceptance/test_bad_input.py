"""What cannot work is refused where it is given, with a code and a sentence, and nothing is stored."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from closingbell import RetryPolicy, Task
from closingbell.app import App
from closingbell.core.error import (
    ClosingbellError,
    CyclicDependency,
    HandlerNotFound,
    TaskFailed,
)
from closingbell.triggers import Every, Session
from tests.acceptance.desk import PATIENCE_S, ended, make_app

Given = Callable[[App], Any]
#: What a type checker would not let through.
WRONG: Any = "text"


@pytest.fixture
def app(sqlite_address: str) -> Iterator[App]:
    app = make_app(sqlite_address, payload_limit_bytes=1_000)

    @app.task
    def risk_scan(threshold: float = 1.0, symbol: str = "AAPL") -> float:
        return threshold

    @app.task
    def anything(payload: dict[str, Any]) -> None:
        pass

    yield app
    app.stop(0)


def declare(**options: Any) -> Given:
    """A function declared with options."""

    def given(app: App) -> None:
        app.task(name="new_task", **options)(lambda payload: None)

    return given


def declare_class(**options: Any) -> Given:
    """A Task object made with options; it refuses before any app sees it."""

    def given(app: App) -> None:
        class NewTask(Task):
            def __init__(self) -> None:
                super().__init__(name="new_task", **options)

            def run(self, algorithm: Any) -> None:
                pass

        app.add_task(NewTask())

    return given


def submit(payload: Any = None, **options: Any) -> Given:
    return lambda app: app.submit("risk_scan", payload, **options)


def schedule(**options: Any) -> Given:
    return lambda app: app.schedule("risk_scan", **options)


def deep() -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"x": value}
    return value


REFUSED: list[tuple[str, Given, str, str]] = [
    # What is declared.
    ("duplicate name", lambda app: app.task(name="risk_scan")(print), "duplicate_task", "already"),
    ("no name", lambda app: app.task(name=" ")(print), "task_definition", "1 to 200 characters"),
    ("no function", lambda app: app.task(name="x")(WRONG), "task_definition", "a function"),
    ("no Task", lambda app: app.add_task(WRONG), "task_definition", "a Task object"),
    ("unknown option", declare(retris=3), "task_definition", "did you mean 'retries'"),
    ("unknown executor", declare(executor="gpu"), "task_definition", "async, thread, process"),
    ("negative retries", declare(retries=-1), "invalid_policy", "0 or more"),
    ("half a retry", declare(retries=1.5), "invalid_policy", "whole number"),
    ("zero timeout", declare(timeout=0), "task_definition", "more than nothing"),
    ("negative timeout", declare(timeout=-5), "invalid_trigger", "not negative"),
    ("timeout in words", declare(timeout="long"), "invalid_trigger", "'1h30m'"),
    ("priority 0", declare(priority=0), "task_definition", "from 1 to 9"),
    ("priority 10", declare(priority=10), "task_definition", "from 1 to 9"),
    ("priority in words", declare(priority="high"), "task_definition", "from 1 to 9"),
    ("malformed cron", declare(cron="0 9 * *"), "invalid_trigger", "cron"),
    ("cron out of range", declare(cron="99 9 * * *"), "invalid_trigger", "cron"),
    ("cron that never comes", declare(cron="0 0 30 2 *"), "invalid_trigger", "cron"),
    ("malformed interval", declare(interval="often"), "invalid_trigger", "interval"),
    ("zero interval", declare(interval="0s"), "invalid_trigger", "interval"),
    ("negative interval", declare(interval=timedelta(-1)), "invalid_trigger", "interval"),
    ("malformed time", declare(time="25:00"), "invalid_trigger", "time"),
    ("time in words", declare(interval="daily", time="noon-ish"), "invalid_trigger", "time"),
    ("unknown weekday", declare(interval="weekly", day="MOO"), "invalid_trigger", "day"),
    ("day 32", declare(interval="monthly", day=32), "invalid_trigger", "day"),
    ("unknown zone", declare(time="02:00", timezone="Europe/Lundon"), "invalid_timezone", "London"),
    ("unknown venue", declare(session="XNYX close-15m"), "invalid_calendar", "XNYS"),
    ("malformed session", declare(session="XNYS at lunch"), "invalid_trigger", "session"),
    ("impossible date", declare(at="2026-02-30T09:00"), "invalid_trigger", "at"),
    ("two triggers", declare(cron="0 9 * * *", interval="5m"), "invalid_trigger", ""),
    ("session and time", declare(session="XNYS open", time="02:00"), "invalid_trigger", ""),
    ("trigger and word", declare(trigger=Every("5m"), cron="0 9 * * *"), "invalid_trigger", "other"),
    ("no trigger object", declare(trigger="5m"), "invalid_trigger", "closingbell.triggers"),
    ("where without event", declare(where="x > 1"), "task_definition", "needs on_event"),
    ("malformed where", declare(on_event="e", where="x >"), "invalid_condition", "expression"),
    ("where with a call", declare(on_event="e", where="open('x')"), "invalid_condition", "allowed"),
    ("after itself", declare(after="new_task"), "cyclic_dependency", "new_task -> new_task"),
    ("malformed rate", declare(rate="fast"), "invalid_policy", "10/s"),
    ("zero rate", declare(rate="0/s"), "invalid_policy", "10/s"),
    ("malformed key", declare(key="account"), "task_definition", "{account}"),
    ("no concurrency", declare(max_concurrent=0), "task_definition", "1 to"),
    ("malformed memory", declare(memory="lots"), "task_definition", "512MB"),
    ("negative cpu", declare(cpu=-1), "task_definition", "0 or more"),
    ("unknown catch-up", declare(interval="5m", catch_up="maybe"), "invalid_policy", "latest"),
    ("unknown overlap", declare(interval="5m", overlap="both"), "invalid_policy", "skip"),
    ("payload is no mapping", declare(payload=[1]), "task_definition", "mapping"),
    ("empty tag", declare(tags=[""]), "task_definition", "words"),
    ("class: malformed cron", declare_class(cron="x"), "invalid_trigger", "cron"),
    ("class: two triggers", declare_class(cron="0 9 * * *", time="02:00"), "invalid_trigger", ""),
    ("class: unknown venue", declare_class(session="NOPE open"), "invalid_calendar", "NOPE"),
    ("shrinking backoff", lambda app: RetryPolicy(backoff_factor=0.5), "invalid_policy", "1 or"),
    # What is submitted.
    ("unknown task", lambda app: app.submit("risk_scam"), "unknown_task", "did you mean 'risk_scan'"),
    ("undecorated", lambda app: app.submit(print), "task_definition", "decorated"),
    ("unknown field", submit({"treshold": 1}), "payload_mismatch", "did you mean 'threshold'"),
    ("wrong type", submit({"threshold": "high"}), "payload_mismatch", "threshold"),
    ("over the size", submit({"symbol": "x" * 1_000}), "payload_too_large", "limit is 1000"),
    ("not JSON", submit({"threshold": object()}), "payload_not_json", "JSON"),
    ("no mapping", submit([1, 2]), "payload_not_json", "list"),
    ("keys that are no text", submit({(1, 2): 3}), "payload_not_json", "JSON"),
    ("deeper than JSON goes", lambda app: app.submit("anything", deep()), "payload_not_json", ""),
    ("negative delay", submit(delay=-1), "invalid_submission", "0 or more"),
    ("negative delay object", submit(delay=timedelta(-1)), "invalid_submission", "delay"),
    ("delay in words", submit(delay="soon"), "invalid_submission", "delay"),
    ("endless delay", submit(delay=math.inf), "invalid_submission", "delay"),
    ("delay that is no number", submit(delay=math.nan), "invalid_submission", "delay"),
    ("delay and at", submit(delay=1, at="2030-01-01"), "invalid_submission", "one of them"),
    ("impossible date", submit(at="2026-02-30"), "invalid_submission", "ISO"),
    ("date far away", submit(at=datetime(2900, 1, 1, tzinfo=UTC)), "invalid_submission", "2200"),
    ("priority 0", submit(priority=0), "invalid_submission", "from 1"),
    ("priority 10", submit(priority=10), "invalid_submission", "from 1"),
    ("priority is true", submit(priority=True), "invalid_submission", "from 1"),
    ("empty tag", submit(tags=[""]), "invalid_submission", "1 to 200"),
    ("tags of numbers", submit(tags=[1]), "invalid_submission", "1 to 200"),
    ("empty key", submit(key=""), "invalid_submission", "1 to 500"),
    ("foreign connection", submit(connection="mine"), "invalid_submission", "connection"),
    (
        "one bad payload of many",
        lambda app: app.submit_many("risk_scan", [{}, {"threshold": "x"}, {}]),
        "payload_mismatch",
        "threshold",
    ),
    # What is scheduled and listened for.
    ("schedule of nothing", schedule(), "invalid_trigger", "a trigger"),
    ("schedule cron", schedule(cron="* * *"), "invalid_trigger", "cron"),
    ("schedule option", schedule(cron="0 9 * * *", retris=1), "invalid_trigger", "one of"),
    ("schedule priority", schedule(interval="5m", priority=10), "invalid_submission", "from 1"),
    ("schedule payload", schedule(interval="5m", payload={"x": 1}), "payload_mismatch", "'x'"),
    ("schedule end", schedule(interval="5m", start="2030-01-02", end="2030-01-01"), "invalid_policy", "end"),
    ("schedule unknown", lambda app: app.schedule("nope", Every("5m")), "unknown_task", "nope"),
    ("two rules", schedule(trigger=Every("5m"), cron="0 9 * * *"), "invalid_trigger", "other"),
    ("venue object", lambda app: app.schedule("anything", Session("XNYZ open")), "invalid_calendar", ""),
    ("event unknown task", lambda app: app.on("e", "nope"), "unknown_task", "nope"),
    ("event without a name", lambda app: app.on("", "anything"), "invalid_submission", "1 to 200"),
    ("event where", lambda app: app.on("e", "anything", where="1 +"), "invalid_condition", ""),
    ("event priority", lambda app: app.on("e", "anything", priority=0), "invalid_submission", ""),
    ("event payload", lambda app: app.on("e", "anything", payload={"x": object()}), "payload_not_json", ""),
    ("event data", lambda app: app.trigger_event("e", {"x": object()}), "payload_not_json", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [pytest.param(given, code, says, id=what) for what, given, code, says in REFUSED],
)
def test_bad_input_is_refused_where_it_is_given_and_nothing_is_stored(
    app: App, given: Given, code: str, says: str
) -> None:
    with pytest.raises(ClosingbellError) as refused:
        given(app)

    assert refused.value.code == code
    assert says in str(refused.value)
    assert "new_task" not in app.registry
    assert app.list_runs() == []
    assert app.store.schedules.list_all() == []
    assert app.store.events.triggers() == []
    assert app.store.events.recent() == []


def test_cyclic_after_is_refused_when_it_closes(app: App) -> None:
    app.task(name="a", after=["c"])(lambda payload: None)
    app.task(name="b", after=["a"])(lambda payload: None)
    with pytest.raises(CyclicDependency, match="c -> b -> a -> c") as refused:
        app.task(name="c", after=["b"])(lambda payload: None)

    assert refused.value.code == "cyclic_dependency"
    assert list(app.registry.list_tasks()) == ["risk_scan", "anything", "a", "b"]


def needs_account(account: str) -> None:
    """A task whose runs cannot do without a field."""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"interval": "5m"}, "payload_mismatch"),
        ({"interval": "5m", "payload": {"acount": "x"}}, "payload_mismatch"),
        ({"interval": "5m", "payload": {"account": "x", "extra": 1}}, "payload_mismatch"),
        ({"after": "risk_scan"}, "payload_mismatch"),
        ({"interval": "5m", "payload": {"account": object()}}, "payload_not_json"),
        ({"interval": "5m", "payload": {"account": "x" * 1_000}}, "payload_too_large"),
    ],
)
def test_declared_schedule_whose_payload_does_not_fit_is_refused_at_once(
    sqlite_address: str, options: dict[str, Any], code: str
) -> None:
    """Not when the store is opened, and not at its first firing."""
    app = make_app(sqlite_address, payload_limit_bytes=1_000)
    with pytest.raises(ClosingbellError) as refused:
        app.task(**options)(needs_account)

    assert refused.value.code == code
    assert app.registry.list_tasks() == {}


@pytest.mark.parametrize(
    "given",
    [
        {"database": "mysql://localhost/x"},
        {"timezone": "Mars/Olympus"},
        {"thread_slots": 0},
        {"thread_slots": "many"},
        {"lease_s": 0.1},
        {"grace": 5},
        {"retention_s": -1},
        {"calendars": "no such file.toml"},
    ],
)
def test_impossible_setting_is_refused_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    from closingbell import create_app

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClosingbellError):
        create_app(**given)
    assert list(tmp_path.iterdir()) == []


def test_handler_that_cannot_be_imported_fails_its_run_with_that_sentence(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module goes away after the task was declared; the child process cannot find it."""
    module = tmp_path / "desk_that_goes.py"
    module.write_text("def settle(payload):\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    settle = importlib.import_module("desk_that_goes").settle
    app.task(name="settle", executor="process", retries=0)(settle)
    module.unlink()
    sys.modules.pop("desk_that_goes")
    app.task(name="alive", executor="process")(_alive)
    with app.running():
        run = ended(app, app.submit("settle").id)
        after = app.submit("alive").result(PATIENCE_S)

    assert run.state == "failed"
    assert run.error is not None
    assert run.error["code"] == "handler_not_found"
    assert "cannot be imported" in run.error["message"]
    assert after == "alive"


def _alive() -> str:
    return "alive"


def test_handler_without_an_import_path_is_refused_for_the_process_executor(app: App) -> None:
    """A function inside a function cannot be found by a child process."""

    def inner(payload: dict[str, Any]) -> None:
        pass

    with pytest.raises(HandlerNotFound, match="inside another function"):
        app.task(name="inner", executor="process")(inner)
    assert "inner" not in app.registry


@pytest.mark.parametrize("value", [object(), {1, 2, 3}.__iter__(), {"x": open}])
def test_result_that_cannot_be_serialised_fails_its_run_with_that_sentence(
    app: App, value: Any
) -> None:
    app.task(name="returns", retries=0)(lambda: value)
    with app.running():
        handle = app.submit("returns")
        with pytest.raises(TaskFailed) as failed:
            handle.result(PATIENCE_S)
        after = app.submit("risk_scan", {"threshold": 2}).result(PATIENCE_S)

    assert failed.value.error["code"] == "result_not_serialisable"
    assert "cannot be written as JSON" in failed.value.error["message"]
    assert after == 2
