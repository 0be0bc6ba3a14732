"""The scheduler-centre document's API over a real server: every route, with its fields, shapes and codes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from closingbell.api.server import ApiServer
from closingbell.app import App
from closingbell.core.error import UnknownTask
from closingbell.triggers import Every
from tests.acceptance.desk import Gate, ended, eventually, make_app
from tests.api_client import bearer

#: What a grid of the document's page shows of each row.
SHOWN = {"task_id", "task_name", "status", "priority", "execution_time", "timestamp"}
LATER = "2099-03-01T09:30:00"


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def app(sqlite_address: str, gate: Gate) -> Iterator[App]:
    app = make_app(sqlite_address, timezone="Europe/Berlin")

    def wait() -> str:
        gate.pass_through()
        return "went through"

    def fail(vendor: str) -> None:
        raise ValueError(f"{vendor} does not answer")

    app.registry.register_task("double", lambda payload: {"y": payload["x"] * 2}, tags=["own"])
    app.registry.register_task("wait", wait)
    app.registry.register_task("fail", fail, retry_count=0, priority=3)
    with app.running():
        yield app
    app.stop(0)


@pytest.fixture
def desk(app: App) -> Iterator[httpx.Client]:
    """A client of the document's API at a real server."""
    with (
        ApiServer(app, port=0) as server,
        httpx.Client(
            base_url=f"{server.url}/api/v1/scheduler", headers=bearer(app), timeout=20
        ) as client,
    ):
        yield client


def taken(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    return problem


def submitted(desk: httpx.Client, task: str, **more: Any) -> str:
    answer = taken(desk.post("/task/submit", json={"task_name": task, **more}))
    assert set(answer) == {"task_id", "status"}
    assert answer["status"] == "scheduled"
    return str(answer["task_id"])


def test_every_route_of_the_document_answers_as_the_document_says(
    app: App, desk: httpx.Client, gate: Gate
) -> None:
    # POST /task/submit: now with all its fields, for later, and one that runs.
    done = submitted(desk, "double", payload={"x": 4}, priority=2, tags=["desk"])
    later = submitted(desk, "double", payload={"x": 1}, trigger_time=LATER, priority=9)
    running = submitted(desk, "wait")
    failed = submitted(desk, "fail", payload={"vendor": "A"})
    gate.wait_arrival()
    ended(app, done)
    ended(app, failed)

    # POST /task/cron, /task/event-trigger, /event/trigger/{event_type}
    cron = {"task_name": "double", "cron_expression": "0 9 * * MON-FRI", "payload": {"x": 2}}
    schedule = taken(desk.post("/task/cron", json={**cron, "priority": 4}))
    assert schedule == {"task_id": schedule["task_id"], "status": "scheduled"}
    listens = {"task_name": "double", "event_type": "tick", "payload": {"x": 5}, "priority": 1}
    trigger = taken(desk.post("/task/event-trigger", json=listens))
    assert trigger == {"task_id": trigger["task_id"], "status": "registered"}
    event = taken(desk.post("/event/trigger/tick", json={"x": 6}))
    assert event == {"triggered_tasks": event["triggered_tasks"], "count": 1}
    (started,) = event["triggered_tasks"]
    assert ended(app, started).result == {"y": 12}
    assert app.get_run(started).priority == 1

    # GET /tasks/running: an object by id
    now = taken(desk.get("/tasks/running"))
    assert set(now) == {running}
    assert set(now[running]) >= SHOWN | {"started_at"}
    assert (now[running]["status"], now[running]["priority"]) == ("running", 5)
    assert now[running]["execution_time"] >= 0

    # GET /tasks/scheduled: a list, soonest first
    waiting = taken(desk.get("/tasks/scheduled"))
    assert [task["task_id"] for task in waiting] == [schedule["task_id"], later]
    assert set(waiting[0]) >= {"task_id", "task_name", "trigger_time", "priority"} | SHOWN
    # Naive times are the app's zone's: Berlin in March is an hour ahead.
    assert waiting[1]["trigger_time"] == "2099-03-01T08:30:00Z"
    assert waiting[1]["priority"] == 9

    # GET /tasks/failed: an object by id
    failures = taken(desk.get("/tasks/failed"))
    assert set(failures) == {failed}
    assert set(failures[failed]) >= SHOWN | {"retry_count", "last_failure", "error"}
    assert failures[failed]["status"] == "permanently_failed"
    assert "A does not answer" in failures[failed]["error"]

    # GET /tasks/history?task_name&status&limit: a list, the latest last
    history = taken(desk.get("/tasks/history"))
    assert {row["task_id"] for row in history} == {done, failed, started}
    assert [row["timestamp"] for row in history] == sorted(row["timestamp"] for row in history)
    assert all(set(row) >= SHOWN | {"result", "error", "payload", "tags"} for row in history)
    narrow: dict[str, str | int] = {"task_name": "double", "status": "success", "limit": 1}
    (last,) = taken(desk.get("/tasks/history", params=narrow))
    assert (last["task_id"], last["result"], last["payload"]) == (started, {"y": 12}, {"x": 6})
    assert taken(desk.get("/tasks/history", params={"task_name": "nothing"})) == []

    # GET /task/status/{task_id}: runs in every state, a schedule, an event trigger
    states: dict[str, str] = {
        done: "success",
        failed: "failed",
        running: "running",
        later: "scheduled",
        schedule["task_id"]: "scheduled",
        trigger["task_id"]: "registered",
    }
    for task_id, status in states.items():
        row = taken(desk.get(f"/task/status/{task_id}"))
        assert (row["task_id"], row["status"]) == (task_id, status)
    first = taken(desk.get(f"/task/status/{done}"))
    assert (first["result"], first["tags"]) == ({"y": 8}, ["own", "desk"])

    # GET /metrics/performance?task_name
    metrics = taken(desk.get("/metrics/performance"))
    times = {"count", "avg_execution_time", "min_execution_time", "max_execution_time"}
    assert set(metrics) == {"double"}
    assert set(metrics["double"]) >= times
    one = taken(desk.get("/metrics/performance", params={"task_name": "double"}))
    assert one["count"] == 2
    assert taken(desk.get("/metrics/performance", params={"task_name": "fail"})) == {}

    # GET /alerts?alert_type&since, DELETE /alerts/clear?alert_type
    (alert,) = taken(desk.get("/alerts", params={"alert_type": "task_failure"}))
    assert (alert["type"], alert["task_id"], alert["task_name"]) == ("task_failure", failed, "fail")
    assert "A does not answer" in alert["error"]
    raised = datetime.fromisoformat(alert["timestamp"])
    assert taken(desk.get("/alerts", params={"since": raised.isoformat()})) == [alert]
    after = (raised + timedelta(milliseconds=1)).isoformat()
    assert taken(desk.get("/alerts", params={"since": after})) == []
    assert taken(desk.get("/alerts", params={"alert_type": "long_execution"})) == []
    cleared = desk.delete("/alerts/clear", params={"alert_type": "task_failure"})
    assert taken(cleared) == {"cleared_count": 1}
    assert taken(desk.delete("/alerts/clear")) == {"cleared_count": 0}

    # DELETE /task/cancel/{task_id}: what waits, what runs, a schedule, an event trigger
    for task_id in (later, schedule["task_id"], trigger["task_id"], running):
        answer = taken(desk.delete(f"/task/cancel/{task_id}"))
        assert answer == {"task_id": task_id, "status": "cancelled"}
    gate.open()
    assert ended(app, running).cancel_requested_at is not None
    assert app.get_run(later).state == "cancelled"
    assert taken(desk.get("/tasks/scheduled")) == []
    assert taken(desk.post("/event/trigger/tick", json={"x": 1}))["count"] == 0


def test_events_of_a_trading_system_start_the_documents_three_tasks(
    app: App, desk: httpx.Client
) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    for task in ("data_sync", "risk_scan", "performance_report"):
        app.registry.register_task(
            task, lambda payload, task=task: seen.append((task, dict(payload)))
        )
    table: list[tuple[str, str, dict[str, Any], int]] = [
        ("data_sync", "market_data_update", {"source": "real_time_feed"}, 1),
        ("risk_scan", "position_change", {"threshold": 1000000}, 2),
        ("performance_report", "daily_close", {"report_type": "daily_summary"}, 3),
    ]
    for task, event_type, payload, priority in table:
        answer = desk.post(
            "/task/event-trigger",
            json={
                "task_name": task,
                "event_type": event_type,
                "payload": payload,
                "priority": priority,
            },
        )
        assert taken(answer)["status"] == "registered"

    for task, event_type, payload, priority in table:
        event = taken(desk.post(f"/event/trigger/{event_type}", json={"symbol": "ACME"}))
        (run_id,) = event["triggered_tasks"]
        run = ended(app, run_id)
        assert (run.task, run.priority, run.cause) == (task, priority, "event")
        assert run.payload == {**payload, "symbol": "ACME"}
    assert [task for task, _ in seen] == [task for task, *_ in table]


def test_requests_without_the_optional_fields_take_the_documents_defaults(
    app: App, desk: httpx.Client
) -> None:
    run_id = submitted(desk, "double", payload={"x": 1})
    cron = {"task_name": "double", "cron_expression": "* * * * *", "payload": {"x": 1}}
    schedule_id = taken(desk.post("/task/cron", json=cron))["task_id"]
    listens = {"task_name": "double", "event_type": "tick"}
    trigger_id = taken(desk.post("/task/event-trigger", json=listens))["task_id"]

    run = ended(app, run_id)
    assert (run.priority, run.tags) == (5, ("own",))
    assert app.store.schedules.get(schedule_id)["source"] == "api"
    trigger = app.store.event_book.trigger(trigger_id)
    assert (trigger["payload"], trigger["priority"], trigger["source"]) == ({}, 5, "api")


def test_same_cron_or_event_trigger_twice_is_the_same_one(desk: httpx.Client) -> None:
    cron = {"task_name": "double", "cron_expression": "0 9 * * *", "payload": {"x": 1}}
    listens = {"task_name": "double", "event_type": "tick"}

    assert desk.post("/task/cron", json=cron).json() == desk.post("/task/cron", json=cron).json()
    first = desk.post("/task/event-trigger", json=listens).json()
    assert desk.post("/task/event-trigger", json=listens).json() == first
    assert len(desk.get("/tasks/scheduled").json()) == 1


def test_what_is_not_there_is_404_and_what_has_ended_is_409(app: App, desk: httpx.Client) -> None:
    refused(desk.get("/task/status/nothing"), 404, "unknown_run")
    refused(desk.delete("/task/cancel/nothing"), 404, "unknown_run")
    unknown = desk.post("/task/submit", json={"task_name": "dubble"})
    assert refused(unknown, 404, UnknownTask.code)["near"] == "double"

    run_id = submitted(desk, "double", payload={"x": 1})
    ended(app, run_id)
    problem = refused(desk.delete(f"/task/cancel/{run_id}"), 409, "invalid_transition")
    assert problem["state"] == "success"


def test_what_code_declares_is_not_cancelled_through_the_api(app: App, desk: httpx.Client) -> None:
    app.task(name="own", interval="1h", on_event="tick")(lambda: None)
    app.schedule("own", Every("5m"), id="declared")
    listening = app.on("tock", "own")
    eventually(lambda: app.store.event_book.triggers())

    for task_id in ("own", "declared", "own@tick", listening):
        problem = refused(desk.delete(f"/task/cancel/{task_id}"), 409, "declared_in_code")
        assert "the code" in problem["instead"]
        assert desk.get(f"/task/status/{task_id}").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/task/submit", {}, "invalid_request"),
        ("/task/submit", {"task_name": ""}, "invalid_request"),
        ("/task/submit", {"task_name": "x" * 201}, "invalid_request"),
        ("/task/submit", {"task_name": 7}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "payload": [1]}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "priority": 0}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "priority": 10}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "priority": "5"}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "priority": True}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "tags": "one"}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "tags": [""]}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "trigger_time": 12345}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "trigger_time": "12345"}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "trigger_time": "soon"}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "trigger_time": "2500-01-01"}, "invalid_request"),
        ("/task/submit", {"task_name": "double", "trigger_tme": LATER}, "invalid_request"),
        ("/task/submit", {"task_name": "fail"}, "payload_mismatch"),
        ("/task/submit", {"task_name": "fail", "payload": {"vendor": 7}}, "payload_mismatch"),
        ("/task/cron", {"task_name": "double"}, "invalid_request"),
        ("/task/cron", {"task_name": "double", "cron_expression": "* *"}, "invalid_trigger"),
        ("/task/cron", {"task_name": "double", "cron_expression": "61 * * * *"}, "invalid_trigger"),
        ("/task/cron", {"task_name": "double", "cron_expression": "*," * 2000}, "invalid_request"),
        ("/task/cron", {"task_name": "fail", "cron_expression": "0 9 * * *"}, "payload_mismatch"),
        ("/task/event-trigger", {"task_name": "double"}, "invalid_request"),
        ("/task/event-trigger", {"task_name": "double", "event_type": ""}, "invalid_request"),
        (
            "/task/event-trigger",
            {"task_name": "fail", "event_type": "tick", "payload": {"vendr": "A"}},
            "payload_mismatch",
        ),
        ("/event/trigger/tick", [], "invalid_request"),
        ("/event/trigger/" + "x" * 201, {}, "invalid_request"),
    ],
)
def test_request_that_is_refused_is_422_and_stores_nothing(
    app: App, desk: httpx.Client, path: str, body: Any, code: str
) -> None:
    refused(desk.post(path, json=body), 422, code)

    assert app.list_runs() == []
    assert app.store.schedules.list_all() == []
    assert app.store.event_book.triggers() == []
    assert app.store.event_book.page() == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/tasks/history", {"limit": "0"}),
        ("/tasks/history", {"limit": "1001"}),
        ("/tasks/history", {"limit": "many"}),
        ("/tasks/history", {"status": "won"}),
        ("/tasks/history", {"task_name": ""}),
        ("/alerts", {"since": "yesterday"}),
        ("/alerts", {"since": "1700000000"}),
        ("/task/status/" + "x" * 501, {}),
    ],
)
def test_query_that_is_refused_is_422(desk: httpx.Client, path: str, query: dict[str, str]) -> None:
    refused(desk.get(path, params=query), 422, "invalid_request")


HOSTILE = ["'; DROP TABLE runs; --", "<script>alert(1)</script>", "../../etc/passwd", "a/b c?d#e%"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_looks_like_sql_or_script_is_only_text(
    app: App, desk: httpx.Client, text: str
) -> None:
    run_id = submitted(desk, "double", payload={"x": 1, "note": text}, tags=[text])
    ended(app, run_id)
    (row,) = taken(desk.get("/tasks/history"))
    assert (row["payload"]["note"], row["tags"]) == (text, ["own", text])
    refused(desk.post("/task/submit", json={"task_name": text}), 404, "unknown_task")
    listens = {"task_name": "double", "event_type": text, "payload": {"x": 1}}
    trigger_id = taken(desk.post("/task/event-trigger", json=listens))["task_id"]
    path = httpx.URL(f"{desk.base_url}event/trigger/").raw_path.decode() + _quoted(text)
    event = taken(desk.post(str(desk.base_url.copy_with(raw_path=path.encode())), json={}))
    assert ended(app, event["triggered_tasks"][0]).event_id is not None
    removed = desk.base_url.copy_with(
        raw_path=f"/api/v1/scheduler/task/cancel/{_quoted(trigger_id)}".encode()
    )
    assert taken(desk.delete(str(removed)))["task_id"] == trigger_id


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
