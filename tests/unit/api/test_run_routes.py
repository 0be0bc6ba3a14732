"""Runs through the API: asked for, found, looked at, cancelled, tried again, followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from closingbell.core.role import Role
from closingbell.core.run import Settlement
from closingbell.wire.run import RunInfo, RunSummaryInfo
from tests.api_client import bearer, signed_in
from tests.conformance.desk import SECOND, START, FakeClaimer

RUNS = "/api/v1/runs"
NASTY = ["'; DROP TABLE runs; --", "<script>alert(1)</script>", "%00"[:1], "ⅷ\u202e", "../../etc"]


def desk(address: str) -> App:
    made = create_app(address, clock=SimulatedClock(START), timezone="America/New_York")

    @made.task(tags=["risk"], masked=["account.secret"], executor="async")
    async def scan(symbol: str, depth: int = 1, account: dict[str, Any] | None = None) -> None: ...

    @made.task(executor="async", approval="two-person")
    async def wire_money(amount: int = 1) -> None: ...

    return made


@pytest.fixture
def app(sqlite_address: str) -> Iterator[App]:
    made = desk(sqlite_address)
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.OPERATOR, "ann") as made:
        yield made


@pytest.fixture
def either(store_address: str) -> Iterator[httpx.Client]:
    """A client of a desk on each store in turn."""
    made = desk(store_address)
    with signed_in(made, Role.OPERATOR, "ann") as client:
        yield client
    made.stop()


def submit(client: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = client.post(RUNS, json={"task": "scan", "payload": {"symbol": "AAPL"}, **more})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def work(app: App, claimer: FakeClaimer) -> None:
    app.store.queue.attach(claimer)
    app.store.queue.exchange()
    app.store.queue.detach(claimer)


def end(app: App, run_id: str, state: str, **more: Any) -> None:
    claimer = FakeClaimer()
    work(app, claimer)
    claim, now = claimer.claim(run_id), app.clock.micros()
    outcome = {"success": "returned", "failed": "raised"}[state]
    claimer.ended = [Settlement(run_id, claim.fence, state, outcome, claim.attempt, now, **more)]
    claimer.claiming = False
    work(app, claimer)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["code"] == code
    return told


# --- asking for a run -----------------------------------------------------------------------


def test_submit_stores_a_run_says_where_it_is_and_who_asked(client: httpx.Client, app: App) -> None:
    answer = client.post(
        RUNS,
        json={
            "task": "scan",
            "payload": {"symbol": "AAPL", "depth": 2},
            "priority": 2,
            "tags": ["eod"],
            "reason": "prices moved",
        },
    )
    assert answer.status_code == 201
    told = answer.json()
    assert answer.headers["location"] == f"{RUNS}/{told['id']}"
    assert set(told) == set(RunSummaryInfo.model_fields)
    assert told["state"] == "pending"
    assert told["priority"] == 2
    assert told["tags"] == ["risk", "eod"]
    assert told["requested_by"] == "ann"
    assert told["cause"] == "submit"
    assert app.get_run(told["id"]).payload == {"symbol": "AAPL", "depth": 2}
    assert client.get(f"{RUNS}?task=scan").json()["items"] == [told]
    [record] = [one for one in app.audit.records() if one.action.startswith("run.")]
    assert (record.action, record.target_id) == ("run.submitted", told["id"])
    assert (record.actor, record.reason) == ("ann", "prices moved")


def test_submit_by_code_is_in_no_audit_record(app: App) -> None:
    run = app.submit("scan", {"symbol": "AAPL"}).run
    assert run.requested_by is None
    assert not [one for one in app.audit.records() if one.action.startswith("run.")]


@pytest.mark.parametrize(
    ("more", "due"),
    [
        ({"delay_s": 90}, timedelta(seconds=90)),
        ({"at": "2026-03-02T15:30:00Z"}, timedelta(hours=1)),
        # Noon in New York, where the app is.
        ({"at": "2026-03-02T12:00:00"}, timedelta(hours=2, minutes=30)),
    ],
)
def test_submit_for_later_is_scheduled_then(
    client: httpx.Client, more: dict[str, Any], due: timedelta
) -> None:
    told = submit(client, **more)
    assert told["state"] == "scheduled"
    assert told["due_at"] == (START + due).isoformat().replace("+00:00", "Z")


def test_submit_with_a_key_that_is_taken_answers_the_earlier_run(
    client: httpx.Client, app: App
) -> None:
    first = submit(client, key="2026-03-02")
    second = client.post(
        RUNS, json={"task": "scan", "payload": {"symbol": "IBM"}, "key": "2026-03-02"}
    )
    assert second.status_code == 200
    assert second.json() == first
    assert second.headers["location"] == f"{RUNS}/{first['id']}"
    assert len([one for one in app.audit.records() if one.action == "run.submitted"]) == 1


def test_submit_sent_again_with_its_idempotency_key_makes_no_second_run(
    client: httpx.Client, app: App
) -> None:
    body = {"task": "scan", "payload": {"symbol": "AAPL"}}
    answers = [client.post(RUNS, json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["location"] == answers[0].headers["location"]
    assert len(app.list_runs()) == 1
    assert len([one for one in app.audit.records() if one.action == "run.submitted"]) == 1


def test_submit_of_an_unknown_task_refuses_the_body_and_names_the_nearest(
    client: httpx.Client,
) -> None:
    told = refused(client.post(RUNS, json={"task": "scam"}), 422, "unknown_task")
    assert told["near"] == "scan"


def test_submit_of_a_payload_that_does_not_fit_tells_all_that_is_wrong(
    client: httpx.Client, app: App
) -> None:
    answer = client.post(
        RUNS, json={"task": "scan", "payload": {"symbol": 7, "depth": "x", "speed": 1}}
    )
    told = refused(answer, 422, "payload_mismatch")
    assert len(told["problems"]) == 3
    assert app.list_runs() == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"at": "2026-03-02T15:30:00Z", "delay_s": 1}, "invalid_submission"),
        ({"at": 1795309475}, "invalid_request"),
        ({"at": "tomorrow"}, "invalid_request"),
        ({"delay_s": -1}, "invalid_request"),
        ({"delay_s": "5"}, "invalid_request"),
        ({"delay_s": 1e300}, "invalid_submission"),
        ({"priority": 0}, "invalid_request"),
        ({"priority": True}, "invalid_request"),
        ({"tags": ["x" * 201]}, "invalid_request"),
        ({"tags": "eod"}, "invalid_request"),
        ({"key": ""}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"payload": [1]}, "invalid_request"),
        ({"task": ""}, "invalid_request"),
        ({"payload": {"symbol": "x\u0000"}}, "invalid_request"),
    ],
)
def test_submit_of_nonsense_is_refused_and_stores_nothing(
    client: httpx.Client, app: App, more: dict[str, Any], code: str
) -> None:
    body = {"task": "scan", "payload": {"symbol": "AAPL"}, **more}
    refused(client.post(RUNS, json=body), 422, code)
    assert app.list_runs() == []


def test_submit_of_a_payload_that_is_too_large_is_413(client: httpx.Client) -> None:
    body = {"task": "scan", "payload": {"symbol": "x" * 1_500_000}}
    answer = client.post(RUNS, json=body)
    assert answer.status_code == 413, answer.text


def test_submit_and_every_act_need_an_operator(app: App, client: httpx.Client) -> None:
    run_id = submit(client)["id"]
    with signed_in(app, Role.VIEWER) as viewer:
        assert viewer.get(f"{RUNS}/{run_id}").status_code == 200
        for path, body in (
            (RUNS, {"task": "scan"}),
            (f"{RUNS}/{run_id}/cancel", None),
            (f"{RUNS}/{run_id}/retry", None),
            (f"{RUNS}/{run_id}/run-now", None),
            (f"{RUNS}/{run_id}/approve", None),
            (f"{RUNS}/{run_id}/reject", {"reason": "r"}),
            (f"{RUNS}/cancel", {"filter": {"task": "scan"}}),
            (f"{RUNS}/retry", {"filter": {"task": "scan"}}),
            ("/api/v1/batches", {"task": "scan", "payloads": [{}]}),
            ("/api/v1/batches/b/cancel", None),
            ("/api/v1/batches/b/retry-failed", None),
        ):
            refused(viewer.post(path, json=body), 403, "forbidden")


# --- finding runs ---------------------------------------------------------------------------


def test_list_walks_all_runs_once_newest_first(either: httpx.Client) -> None:
    ids = [submit(either)["id"] for _ in range(5)]
    found: list[str] = []
    after = None
    while True:
        page = either.get(RUNS, params={"limit": 2, **({"after": after} if after else {})}).json()
        assert page["complete"] is True
        found += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == ids[::-1]


def test_list_takes_fields_a_line_and_both(either: httpx.Client) -> None:
    late = submit(either, tags=["eod"], delay_s=60)["id"]
    soon = submit(either, tags=["eod"])["id"]
    submit(either)

    def ids(**params: Any) -> list[str]:
        answer = either.get(RUNS, params=params)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    assert ids(tag="eod") == [soon, late]
    assert ids(tag=["eod", "risk"], state="scheduled") == [late]
    assert ids(state=["scheduled", "failed"]) == [late]
    assert ids(state="scheduled,failed", requested_by="ann") == [late]
    assert ids(filter="tag:eod -state:scheduled") == [soon]
    assert ids(filter="tag:eod", state="pending") == [soon]
    assert ids(q=late) == [late]
    assert ids(without_tag="eod", submitted_since="2026-03-02T09:30:00") != []
    assert ids(submitted_until="2026-03-02T09:30:00") == []
    assert ids(session_date="2026-03-02", cause="submit") == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": 0}, "invalid_request"),
        ({"limit": 1001}, "invalid_request"),
        ({"limit": "ten"}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"state": "faild"}, "invalid_request"),
        ({"cause": "magic"}, "invalid_filter"),
        ({"hold": "x"}, "invalid_filter"),
        ({"session_date": "20260302"}, "invalid_filter"),
        ({"submitted_since": "yesterday"}, "invalid_request"),
        ({"filter": "stat:x"}, "invalid_filter"),
        ({"filter": "task:a", "task": "b"}, "invalid_filter"),
        ({"task": ""}, "invalid_request"),
        ({"q": "x" * 201}, "invalid_request"),
        ({"filter": "x" * 2001}, "invalid_request"),
        ({"tag": [str(n) for n in range(21)]}, "invalid_request"),
        ({"after": "nonsense"}, "invalid_page_token"),
        ({"after": "bm9uc2Vuc2U"}, "invalid_page_token"),
    ],
)
def test_list_of_nonsense_is_refused(
    client: httpx.Client, params: dict[str, Any], code: str
) -> None:
    refused(client.get(RUNS, params=params), 422, code)


def test_list_refuses_a_page_token_of_another_query(client: httpx.Client) -> None:
    for _ in range(3):
        submit(client)
    token = client.get(RUNS, params={"limit": 1, "task": "scan"}).json()["next"]
    assert client.get(RUNS, params={"task": "scan", "after": token}).status_code == 200
    same = client.get(RUNS, params={"filter": "task:scan", "after": token})
    assert same.status_code == 200
    for params in ({}, {"task": "other"}, {"task": "scan", "state": "failed"}):
        told = refused(
            client.get(RUNS, params={**params, "after": token}), 422, "invalid_page_token"
        )
        assert "another query" in told["detail"]
    refused(client.get("/api/v1/batches", params={"after": token}), 422, "invalid_page_token")


def test_list_looks_for_any_text_and_finds_nothing_else(either: httpx.Client) -> None:
    submit(either)
    for text in NASTY:
        for name in ("task", "schedule", "worker", "batch", "event", "requested_by", "q", "tag"):
            answer = either.get(RUNS, params={name: text})
            assert answer.status_code == 200, answer.text
            assert answer.json()["items"] == []
    assert len(either.get(RUNS).json()["items"]) == 1


# --- one run --------------------------------------------------------------------------------


def test_run_tells_all_that_is_known_and_masks_what_its_task_masks(
    client: httpx.Client, app: App
) -> None:
    run_id = submit(
        client, payload={"symbol": "AAPL", "account": {"name": "main", "secret": "hunter2"}}
    )["id"]
    app.clock.advance(timedelta(seconds=2))  # type: ignore[attr-defined]
    error = {"code": "x", "type": "ValueError", "message": "no price", "traceback": "at line 1"}
    end(app, run_id, "failed", error=json.dumps(error), reason="not retried")

    answer = client.get(f"{RUNS}/{run_id}")
    assert answer.status_code == 200
    told = answer.json()
    assert set(told) == set(RunInfo.model_fields)
    assert told["payload"] == {"symbol": "AAPL", "account": {"name": "main", "secret": "•••"}}
    assert "hunter2" not in answer.text
    assert told["error"] == error
    assert told["error_line"] == "ValueError: no price"
    assert (told["lateness_s"], told["queue_wait_s"], told["duration_s"]) == (2.0, 2.0, 0.0)
    assert told["fence"] == 1
    [attempt] = told["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["worker_id"]) == (1, "raised", "w1")
    assert attempt["error"]["traceback"] == "at line 1"
    assert "no price" in told["explanation"]
    [line] = client.get(RUNS).json()["items"]
    assert line["error_line"] == "ValueError: no price"
    assert "traceback" not in json.dumps(line)


def test_run_that_stands_as_known_is_304_until_it_moves(client: httpx.Client) -> None:
    run_id = submit(client)["id"]
    etag = client.get(f"{RUNS}/{run_id}").headers["etag"]
    known = {"If-None-Match": f'"other", {etag}'}
    answer = client.get(f"{RUNS}/{run_id}", headers=known)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    client.post(f"{RUNS}/{run_id}/cancel")
    answer = client.get(f"{RUNS}/{run_id}", headers=known)
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag


def test_run_that_is_not_there_is_404_whatever_its_id_looks_like(either: httpx.Client) -> None:
    for run_id in ("nobody", "a/b", "x" * 500, "%27%3B%20DROP%20TABLE", "cancel"):
        for path in ("", "/history", "/explanation", "/logs"):
            refused(either.get(f"{RUNS}/{run_id}{path}"), 404, "unknown_run")
        for path in ("/cancel", "/retry", "/run-now", "/approve"):
            refused(either.post(f"{RUNS}/{run_id}{path}"), 404, "unknown_run")


def test_run_id_that_no_store_can_hold_is_422(client: httpx.Client) -> None:
    for path in ("a%00b", "x" * 501):
        refused(client.get(f"{RUNS}/{path}"), 422, "invalid_request")


def test_history_tells_who_did_what(client: httpx.Client, app: App) -> None:
    run_id = submit(client)["id"]
    end(app, run_id, "failed", error='{"type":"E","message":"m"}')
    client.post(f"{RUNS}/{run_id}/retry", json={"reason": "again"})
    client.post(f"{RUNS}/{run_id}/cancel", json={"reason": "enough"})
    told = client.get(f"{RUNS}/{run_id}/history").json()
    assert {(one["what"], one["by"]) for one in told} >= {
        ("submitted", "ann"),
        ("started", None),
        ("ended", None),
        ("retried", "ann"),
        ("cancelled", "ann"),
    }
    assert [one["detail"] for one in told if one["what"] == "retried"] == ["again"]
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)


def test_explanation_says_why_a_run_waits(client: httpx.Client) -> None:
    run_id = submit(client)["id"]
    told = client.get(f"{RUNS}/{run_id}/explanation").json()
    assert told["state"] == "pending"
    assert "no worker is alive" in told["explanation"]


# --- acts -----------------------------------------------------------------------------------


def test_cancel_ends_a_waiting_run_asks_a_running_one_and_refuses_an_ended_one(
    client: httpx.Client, app: App
) -> None:
    running, waiting = submit(client, priority=1)["id"], submit(client)["id"]
    work(app, FakeClaimer(free={"async": 1}))

    answer = client.post(f"{RUNS}/{waiting}/cancel", json={"reason": "not today"})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == ("cancelled", "not today")
    answer = client.post(f"{RUNS}/{running}/cancel")
    assert answer.status_code == 202
    assert answer.json()["state"] == "running"
    assert answer.json()["cancel_requested_at"] is not None
    refused(client.post(f"{RUNS}/{waiting}/cancel"), 409, "invalid_transition")
    refused(client.post(f"{RUNS}/{waiting}/cancel", json={"why": "x"}), 422, "invalid_request")


def test_retry_runs_an_ended_run_again_and_refuses_one_that_waits(
    client: httpx.Client, app: App
) -> None:
    run_id = submit(client)["id"]
    refused(client.post(f"{RUNS}/{run_id}/retry"), 409, "invalid_transition")
    end(app, run_id, "failed", error='{"type":"E","message":"m"}')
    told = client.post(f"{RUNS}/{run_id}/retry").json()
    assert (told["state"], told["cause"], len(told["attempts"])) == ("pending", "retry", 1)


def test_run_now_lets_a_scheduled_run_begin_and_refuses_another(client: httpx.Client) -> None:
    run_id = submit(client, delay_s=3600)["id"]
    assert client.post(f"{RUNS}/{run_id}/run-now").json()["state"] == "pending"
    refused(client.post(f"{RUNS}/{run_id}/run-now"), 409, "invalid_transition")


def test_approve_needs_two_persons_and_reject_a_reason(client: httpx.Client, app: App) -> None:
    held = client.post(RUNS, json={"task": "wire_money", "payload": {}}).json()
    assert (held["state"], held["hold"]) == ("scheduled", "approval")
    [waiting] = client.get("/api/v1/approvals").json()["items"]
    assert (waiting["run_id"], waiting["needed"], waiting["asked_by"]) == (held["id"], 1, "ann")
    assert [one["verdict"] for one in waiting["decisions"]] == ["requested"]

    path = f"{RUNS}/{held['id']}"
    refused(client.post(f"{path}/approve"), 409, "approval_refused")
    refused(client.post(f"{path}/run-now"), 409, "approval_refused")
    with signed_in(app, Role.OPERATOR) as program:
        refused(program.post(f"{path}/approve"), 409, "approval_refused")
    with signed_in(app, Role.OPERATOR, "bob") as bob:
        refused(bob.post(f"{path}/reject", json={"reason": " "}), 422, "invalid_request")
        refused(bob.post(f"{path}/reject"), 422, "invalid_request")
        told = bob.post(f"{path}/approve", json={"reason": "checked"}).json()
        assert (told["state"], told["needed"], told["released_by"]) == ("released", 0, ["bob"])
        refused(bob.post(f"{path}/approve"), 409, "approval_refused")
        other = client.post(RUNS, json={"task": "wire_money"}).json()["id"]
        told = bob.post(f"{RUNS}/{other}/reject", json={"reason": "too much"}).json()
        assert (told["state"], told["rejected_by"]) == ("rejected", "bob")
    assert client.get("/api/v1/approvals").json()["items"] == []
    assert client.get(f"{RUNS}/{other}").json()["state"] == "cancelled"


def test_approvals_are_walked_page_by_page_the_oldest_first(either: httpx.Client) -> None:
    ids = [either.post(RUNS, json={"task": "wire_money"}).json()["id"] for _ in range(3)]
    first = either.get("/api/v1/approvals", params={"limit": 2}).json()
    rest = either.get("/api/v1/approvals", params={"after": first["next"]}).json()
    assert [one["run_id"] for one in first["items"] + rest["items"]] == ids
    assert rest["next"] is None


# --- acts on many ---------------------------------------------------------------------------


def test_bulk_cancel_counts_first_then_does_it_with_one_record(
    client: httpx.Client, app: App
) -> None:
    ids = [submit(client, tags=["wrong"])["id"] for _ in range(3)]
    other = submit(client)["id"]
    body = {"filter": {"tag": ["wrong"]}, "reason": "wrong prices"}
    dry = client.post(f"{RUNS}/cancel", json={**body, "dry_run": True}).json()
    assert dry == {
        "matched": 3, "done": 0, "refused": [], "refused_count": 0, "more": False, "dry_run": True,
    }  # fmt: skip
    before = len(app.audit.records())
    told = client.post(f"{RUNS}/cancel", json={**body, "most": 2}).json()
    assert (told["matched"], told["done"], told["more"]) == (2, 2, True)
    told = client.post(f"{RUNS}/cancel", json=body).json()
    assert (told["matched"], told["done"], told["more"]) == (1, 1, False)
    assert {app.get_run(run_id).state for run_id in ids} == {"cancelled"}
    assert {app.get_run(run_id).reason for run_id in ids} == {"wrong prices"}
    assert app.get_run(other).state == "pending"
    records = app.audit.records()[: len(app.audit.records()) - before]
    assert [one.action for one in records] == ["runs.cancelled"] * 2
    assert records[0].after["filter"] == "state:scheduled,pending,running tag:wrong"
    assert records[0].actor == "ann"


def test_bulk_retry_takes_the_failed_ones_and_tells_what_it_refuses(
    client: httpx.Client, app: App
) -> None:
    failed, fine = submit(client)["id"], submit(client)["id"]
    claimer = FakeClaimer()
    work(app, claimer)
    now = app.clock.micros()
    claimer.ended = [
        Settlement(failed, 1, "failed", "raised", 1, now, error='{"type":"E","message":"m"}'),
        Settlement(fine, 1, "success", "returned", 1, now),
    ]
    claimer.claiming = False
    work(app, claimer)
    told = client.post(f"{RUNS}/retry", json={"filter": {"filter": "task:scan"}}).json()
    assert (told["matched"], told["done"], told["refused_count"]) == (1, 1, 0)
    assert app.get_run(failed).state == "pending"
    assert app.get_run(fine).state == "success"
    client.post(f"{RUNS}/cancel", json={"filter": {"task": "scan"}})
    app.registry.unregister_task("scan")
    told = client.post(f"{RUNS}/retry", json={"filter": {"state": ["cancelled"]}}).json()
    assert (told["matched"], told["done"], told["refused_count"]) == (1, 0, 1)
    assert told["refused"][0]["id"] == failed
    assert told["refused"][0]["code"] == "unknown_task"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({"filter": {}}, "invalid_filter"),
        ({"filter": {"state": ["success"]}}, "invalid_filter"),
        ({"filter": {"task": "scan"}, "most": 0}, "invalid_request"),
        ({"filter": {"task": "scan"}, "most": 1_000_001}, "invalid_request"),
        ({"filter": {"task": "scan"}, "dry_run": "yes"}, "invalid_request"),
        ({"filter": {"task": "scan", "limit": 3}}, "invalid_request"),
        ({"filter": "task:scan"}, "invalid_request"),
    ],
)
def test_bulk_of_nonsense_is_refused(client: httpx.Client, body: Any, code: str) -> None:
    refused(client.post(f"{RUNS}/cancel", json=body), 422, code)


# --- batches --------------------------------------------------------------------------------


def test_batch_is_stored_watched_cancelled_and_tried_again(client: httpx.Client, app: App) -> None:
    payloads = [{"symbol": symbol} for symbol in ("AAPL", "IBM", "MSFT", "ORCL")]
    answer = client.post(
        "/api/v1/batches", json={"task": "scan", "payloads": payloads, "name": "close"}
    )
    assert answer.status_code == 201
    batch = answer.json()
    path = answer.headers["location"]
    assert path == f"/api/v1/batches/{batch['id']}"
    assert (batch["name"], batch["size"], batch["requested_by"]) == ("close", 4, "ann")
    assert client.get("/api/v1/batches").json()["items"] == [batch]
    told = client.get(path).json()
    assert (told["counts"]["pending"], told["eta_s"]) == (4, None)

    ids = [one["id"] for one in client.get(RUNS, params={"batch": batch["id"]}).json()["items"]]
    assert len(ids) == 4
    claimer = FakeClaimer(free={"async": 2})
    work(app, claimer)
    app.clock.advance(timedelta(seconds=10))  # type: ignore[attr-defined]
    first, second = claimer.ids
    now = app.clock.micros()
    claimer.ended = [
        Settlement(first, 1, "success", "returned", 1, now),
        Settlement(second, 1, "failed", "raised", 1, now, error='{"type":"E","message":"m"}'),
    ]
    claimer.claiming = False
    work(app, claimer)
    told = client.get(path).json()
    assert (told["counts"]["success"], told["counts"]["failed"]) == (1, 1)
    assert told["eta_s"] == 10.0
    assert told["first_started_at"] is not None
    assert told["last_finished_at"] is not None

    assert client.post(f"{path}/retry-failed").json()["done"] == 1
    told = client.post(f"{path}/cancel", json={"reason": "enough"}).json()
    assert (told["matched"], told["done"]) == (3, 3)
    assert client.get(path).json()["counts"]["cancelled"] == 3


def test_batch_of_one_bad_payload_stores_none(client: httpx.Client, app: App) -> None:
    body = {"task": "scan", "payloads": [{"symbol": "AAPL"}, {"symbol": 7}]}
    refused(client.post("/api/v1/batches", json=body), 422, "payload_mismatch")
    assert app.list_runs() == []
    refused(
        client.post("/api/v1/batches", json={"task": "scam", "payloads": [{}]}), 422, "unknown_task"
    )
    refused(
        client.post("/api/v1/batches", json={"task": "scan", "payloads": []}),
        422,
        "invalid_request",
    )
    refused(client.get("/api/v1/batches/nobody"), 404, "unknown_batch")
    refused(client.post("/api/v1/batches/nobody/cancel"), 404, "unknown_batch")


def test_batches_are_walked_page_by_page(either: httpx.Client) -> None:
    body = {"task": "scan", "payloads": [{"symbol": "A"}]}
    ids = [either.post("/api/v1/batches", json=body).json()["id"] for _ in range(3)]
    first = either.get("/api/v1/batches", params={"limit": 2}).json()
    rest = either.get("/api/v1/batches", params={"after": first["next"]}).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]


# --- logs -----------------------------------------------------------------------------------


def written(app: App, client: httpx.Client, count: int) -> str:
    run_id: str = submit(client)["id"]
    work(app, FakeClaimer())
    pieces = [("stdout", f"line {n}\n") for n in range(count)]
    app.store.runs.add_logs(run_id, 1, pieces, app.clock.micros())
    return run_id


def test_logs_are_read_page_by_page_in_order(client: httpx.Client, app: App) -> None:
    run_id = written(app, client, 5)
    first = client.get(f"{RUNS}/{run_id}/logs", params={"limit": 3}).json()
    rest = client.get(f"{RUNS}/{run_id}/logs", params={"after": first["next"]}).json()
    assert [one["text"] for one in first["items"] + rest["items"]] == [
        f"line {n}\n" for n in range(5)
    ]
    assert rest["next"] is None
    assert set(first["items"][0]) == {"fence", "seq", "stream", "text", "written_at"}
    other = submit(client)["id"]
    refused(
        client.get(f"{RUNS}/{other}/logs", params={"after": first["next"]}),
        422,
        "invalid_page_token",
    )


def events_of(text: str) -> list[tuple[str, str | None, dict[str, Any]]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


def test_logs_are_followed_until_the_run_ends_and_resumed_where_they_broke_off(
    client: httpx.Client, app: App
) -> None:
    run_id = written(app, client, 250)
    app.store.runs.cancel(run_id, "r", app.clock.micros())
    claim_fence = app.get_run(run_id).fence
    claimer = FakeClaimer()
    claimer.ended = [
        Settlement(run_id, claim_fence, "cancelled", "cancelled", 1, app.clock.micros() + SECOND)
    ]
    claimer.claiming = False
    work(app, claimer)
    follow = {"Accept": "text/event-stream"}
    answer = client.get(f"{RUNS}/{run_id}/logs", headers=follow)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events_of(answer.text)
    assert [one[2]["text"] for one in told[:-1]] == [f"line {n}\n" for n in range(250)]
    assert told[-1][0] == "end"
    assert told[-1][2] == {"state": "cancelled"}
    place = told[99][1]
    again = client.get(f"{RUNS}/{run_id}/logs", headers={**follow, "Last-Event-ID": str(place)})
    assert [one[2]["text"] for one in events_of(again.text)[:-1]] == [
        f"line {n}\n" for n in range(100, 250)
    ]
    for nonsense in ("x", "1", "1-x", "-1-1", "9" * 30 + "-1"):
        refused(
            client.get(f"{RUNS}/{run_id}/logs", headers={**follow, "Last-Event-ID": nonsense}),
            422,
            "invalid_request",
        )
    refused(client.get(f"{RUNS}/nobody/logs", headers=follow), 404, "unknown_run")


def test_logs_that_nobody_reads_on_are_not_read_on_from_the_store(
    client: httpx.Client, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = written(app, client, 1_000)
    looks: list[Any] = []
    read = app.store.runs.logs

    def noted(*look: Any) -> list[dict[str, Any]]:
        looks.append(look)
        return read(*look)

    monkeypatch.setattr(app.store.runs, "logs", noted)
    api = create_api(app)
    token = bearer(app, Role.VIEWER)["Authorization"]
    taken: list[bytes] = []

    async def follow() -> None:
        stuck = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                taken.append(message["body"])
                if len(taken) > 5:
                    stuck.set()
                    await asyncio.Event().wait()

        sent = False

        async def receive() -> Any:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = {"host": "127.0.0.1", "authorization": token, "accept": "text/event-stream"}
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "GET",
            "path": f"{RUNS}/{run_id}/logs", "raw_path": f"{RUNS}/{run_id}/logs".encode(),
            "query_string": b"", "scheme": "http", "http_version": "1.1",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        reader = asyncio.create_task(api(scope, receive, send))
        await asyncio.wait_for(stuck.wait(), 10)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    asyncio.run(follow())
    assert len(looks) == 1
    assert len(taken) == 6
