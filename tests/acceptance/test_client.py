"""The typed client against a real service: every route, the same errors, resumed streams."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import App, create_app
from closingbell.api.server import ApiServer
from closingbell.client import AsyncClient, Client
from closingbell.core.error import (
    ApprovalRefused,
    Forbidden,
    InvalidTransition,
    NotSignedIn,
    PayloadMismatch,
    RunNotFinished,
    ServiceUnreachable,
    SignInRefused,
    UnknownRun,
    UnknownTask,
    VersionMismatch,
)
from closingbell.core.role import Role
from closingbell.wire.alert_rule import AlertRuleRequest
from closingbell.wire.event import EventTriggerGiven
from closingbell.wire.schedule import ScheduleRequest, TriggerWords
from closingbell.wire.stream import Changes, Ready
from tests.api_client import bearer

# Not printed: pytest puts its own standard output in place after the fixtures.
_log = logging.getLogger("desk")


@dataclass
class Service:
    """A service at work, and the gate that its task waits at."""

    app: App
    server: ApiServer
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return self.server.url

    def token(self, role: Role = Role.ADMIN, name: str | None = "ana") -> str:
        return bearer(self.app, role, name)["Authorization"].removeprefix("Bearer ")

    def client(self, role: Role = Role.ADMIN, name: str | None = "ana", **more: Any) -> Client:
        return Client(self.url, token=self.token(role, name), **more)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    app = create_app(tmp_path / "desk.db", guardian=False)
    gate = threading.Event()
    app.add_account(cash=100_000)

    @app.task(retries=0)
    def scan(threshold: int = 5) -> int:
        """Look at the book."""
        _log.warning("threshold %d", threshold)
        if threshold < 0:
            raise ValueError("below zero")
        return threshold * 2

    @app.task(retries=0)
    def waits() -> None:
        _log.warning("begun")
        gate.wait(30)
        _log.warning("done")

    @app.task(approval="two-person", retries=0)
    def wire_money(amount: int) -> int:
        return amount

    with app.running():
        server = ApiServer(app, port=0)
        with server:
            yield Service(app, server, gate)
            gate.set()


def test_client_submits_waits_and_reads_what_became_of_it(service: Service) -> None:
    with service.client() as client:
        run = client.runs.submit("scan", {"threshold": 21}, tags=["eod"], reason="a look")
        ended = client.runs.wait(run.id, timeout_s=30, look_s=0.01)

        assert (ended.state, ended.result, ended.requested_by) == ("success", 42, "ana")
        assert ended.tags == ["eod"]
        assert "threshold 21" in "".join(piece.text for piece in client.runs.logs(run.id))
        assert next(line.what for line in client.runs.history(run.id)) == "submitted"
        assert client.runs.explain(run.id)
        assert [one.id for one in client.runs.all("task:scan tag:eod")] == [run.id]
        assert client.runs.page(state=["failed"]).items == []


def test_client_raises_the_errors_of_the_app(service: Service) -> None:
    with service.client() as client:
        with pytest.raises(UnknownTask) as unknown:
            client.runs.submit("scam")
        with pytest.raises(UnknownTask) as here:
            service.app.submit("scam")
        assert str(unknown.value) == str(here.value)
        assert unknown.value.fields == here.value.fields

        with pytest.raises(PayloadMismatch):
            client.runs.submit("scan", {"threshold": "many"})
        with pytest.raises(UnknownRun):
            client.runs.get("0" * 32)
        run = client.runs.submit("scan")
        client.runs.wait(run.id, timeout_s=30, look_s=0.01)
        with pytest.raises(InvalidTransition):
            client.runs.cancel(run.id, "too late")


def test_client_without_a_good_token_is_told_so(service: Service) -> None:
    with Client(service.url, token="cb_none_such") as client, pytest.raises(SignInRefused):
        client.tasks.get("scan")
    with httpx.Client(base_url=service.url) as http:
        unsigned = Client(service.url, http=http)
        with pytest.raises(NotSignedIn):
            unsigned.tasks.get("scan")
    with service.client(Role.VIEWER) as viewer:
        assert viewer.tokens.whoami().role == Role.VIEWER
        with pytest.raises(Forbidden) as refusal:
            viewer.runs.submit("scan")
        assert refusal.value.needed == "operator"


def test_client_of_nothing_says_where_it_looked() -> None:
    with (
        Client("http://127.0.0.1:9", token="x", tries=1) as client,
        pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:9"),
    ):
        client.figures.overview()


def test_submission_with_one_key_is_one_run_whoever_sends_it(service: Service) -> None:
    with service.client() as client:
        first = client.runs.submit("scan", {"threshold": 1}, request_key="eod-2026-11-20")
        again = client.runs.submit("scan", {"threshold": 1}, request_key="eod-2026-11-20")
        assert first.id == again.id
        assert len(client.runs.page("task:scan").items) == 1


def test_wait_that_is_too_short_leaves_the_run_alone(service: Service) -> None:
    with service.client() as client:
        run = client.runs.submit("waits")
        with pytest.raises(RunNotFinished):
            client.runs.wait(run.id, timeout_s=0.05, look_s=0.01)
        service.gate.set()
        assert client.runs.wait(run.id, timeout_s=30, look_s=0.01).state == "success"


def test_followed_logs_end_with_the_run(service: Service) -> None:
    with service.client() as client:
        run = client.runs.submit("waits")
        said = []
        for piece in client.runs.follow_logs(run.id):
            said.append(piece.text)
            service.gate.set()
        assert [text.split()[-1] for text in said] == ["begun", "done"]


def test_two_persons_release_a_run(service: Service) -> None:
    with service.client(name="ana") as ana, service.client(name="ben") as ben:
        run = ana.runs.submit("wire_money", {"amount": 5})
        [held] = ana.approvals.all()
        assert (held.run_id, held.asked_by, held.needed) == (run.id, "ana", 1)
        with pytest.raises(ApprovalRefused):
            ana.approvals.approve(run.id)
        assert ben.approvals.approve(run.id, "checked").state == "released"
        assert ana.runs.wait(run.id, timeout_s=30, look_s=0.01).result == 5

        other = ana.runs.submit("wire_money", {"amount": 6})
        assert ben.approvals.reject(other.id, "too much").rejected_by == "ben"
        assert ana.runs.get(other.id).state == "cancelled"


def test_schedule_is_made_changed_paused_and_removed(service: Service) -> None:
    asked = ScheduleRequest(task="scan", trigger=TriggerWords(cron="0 9 * * MON"), id="weekly")
    with service.client() as client:
        assert client.schedules.preview(asked).when
        made = client.schedules.create(asked)
        changed = client.schedules.change(
            made.id,
            ScheduleRequest(task="scan", trigger=TriggerWords(interval="1h")),
            made.version,
        )
        with pytest.raises(VersionMismatch):
            client.schedules.change(made.id, asked, made.version)
        assert changed.trigger.kind == "every"
        assert client.schedules.pause(made.id, "audit").paused_reason == "audit"
        assert not client.schedules.resume(made.id).paused
        assert client.schedules.run_now(made.id, "now").schedule_id == made.id
        assert len(client.schedules.next(made.id, 3)) == 3
        assert client.schedules.ticks(made.id).items == []
        assert [one.id for one in client.schedules.all(task="scan")] == [made.id]
        client.schedules.remove(made.id, "not needed")
        assert list(client.schedules.all()) == []


def test_async_client_follows_what_changes(service: Service) -> None:
    async def story() -> set[str]:
        seen: set[str] = set()
        async with AsyncClient(service.url, token=service.token()) as client:
            changes = client.follow(["runs"])
            async for told in changes:
                if isinstance(told.what, Ready):
                    run = await client.runs.submit("scan")
                elif isinstance(told.what, Changes):
                    states = [c.state for c in told.what.changes if c.id == run.id and c.state]
                    seen.update(state["state"] for state in states)
                    if "success" in seen:
                        break
            await changes.aclose()  # type: ignore[attr-defined]
        return seen

    assert "success" in asyncio.run(asyncio.wait_for(story(), 30))


def test_client_reaches_every_route_but_the_documents(service: Service) -> None:
    sent: list[tuple[str, str]] = []

    def note(request: httpx.Request) -> None:
        sent.append((request.method, request.url.raw_path.decode().partition("?")[0]))

    headers = {"Authorization": f"Bearer {service.token()}"}
    with httpx.Client(
        base_url=service.url, event_hooks={"request": [note]}, headers=headers
    ) as http:
        client = Client(service.url, token=service.token(), http=http)
        _use_everything(client, service)
        paths: dict[str, Any] = http.get("/openapi.json").json()["paths"]

    missing = []
    for template, methods in paths.items():
        if template.startswith(("/api/v1/scheduler", "/livez")) or template in _BROWSERS_ONLY:
            continue
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template) + "$")
        for method in methods:
            if not any(m == method.upper() and pattern.match(p) for m, p in sent):
                missing.append(f"{method.upper()} {template}")
    assert missing == ["POST /api/v1/session", "DELETE /api/v1/session"]


#: Pages, and what only a browser's session needs.
_BROWSERS_ONLY = {"/", "/sign-in", "/sign-out", "/sign-in.css", "/oidc/login", "/oidc/callback"}


def _use_everything(client: Client, service: Service) -> None:
    run = client.runs.submit("scan", {"threshold": -1})
    client.runs.wait(run.id, timeout_s=30, look_s=0.01)
    client.runs.retry(run.id, "again")
    client.runs.wait(run.id, timeout_s=30, look_s=0.01)
    later = client.runs.submit("scan", delay_s=3_600)
    client.runs.run_now(later.id)
    last = client.runs.submit("scan", delay_s=3_600)
    client.runs.cancel(last.id, "not wanted")
    client.runs.page()
    assert client.runs.find(run.id[:31]) == run.id
    client.runs.explain(run.id)
    client.runs.history(run.id)
    list(client.runs.logs(run.id))
    assert client.runs.cancel_many("task:scan state:scheduled", dry_run=True).done == 0
    assert client.runs.retry_many("task:none").matched == 0
    held = client.runs.submit("wire_money", {"amount": 1})
    list(client.approvals.all())
    with service.client(name="ben") as ben:
        ben.approvals.approve(held.id)
    for act in (client.approvals.approve, lambda run_id: client.approvals.reject(run_id, "no")):
        with pytest.raises(ApprovalRefused):
            act(held.id)
    batch = client.batches.submit("scan", [{"threshold": 1}, {"threshold": 2}])
    client.batches.get(batch.id)
    client.batches.cancel(batch.id)
    client.batches.retry_failed(batch.id)
    assert [one.id for one in client.batches.all()] == [batch.id]
    assert {task.name for task in client.tasks.all()} >= {"scan", "waits"}
    client.tasks.get("scan")
    assert client.tasks.form("scan")["properties"]["threshold"]["default"] == 5
    _use_schedules_and_events(client)
    _use_what_is_read(client)
    _use_alerts(client)
    assert client.tokens.whoami().name == "ana"
    token = client.tokens.create("ci", Role.VIEWER, expires_in_s=60)
    assert client.tokens.get(token.id).usable
    assert not client.tokens.revoke(token.id).usable
    assert token.id in [one.id for one in client.tokens.all()]
    assert list(client.tokens.sessions()) == []
    with pytest.raises(LookupError):
        client.tokens.end_session("0" * 64)
    for told in client.follow(["runs"]):
        assert told is not None
        break


def _use_schedules_and_events(client: Client) -> None:
    asked = ScheduleRequest(task="scan", trigger=TriggerWords(interval="1h"), id="hourly")
    client.schedules.preview(asked)
    made = client.schedules.create(asked)
    client.schedules.get(made.id)
    client.schedules.pause(made.id, "x")
    made = client.schedules.resume(made.id)
    client.schedules.change(made.id, asked, made.version)
    client.schedules.run_now(made.id)
    client.schedules.next(made.id)
    client.schedules.ticks(made.id)
    list(client.schedules.all())
    client.schedules.remove(made.id)
    trigger = client.events.create_trigger(EventTriggerGiven(task="scan", event_type="news"))
    assert [one.id for one in client.events.triggers()] == [trigger.id]
    assert len(client.events.post("news", {"threshold": 3}).run_ids) == 1
    assert client.events.page("news").items[0].runs == 1
    client.events.remove_trigger(trigger.id)


def _use_what_is_read(client: Client) -> None:
    assert [account.name for account in client.desk.accounts()] == ["main"]
    client.desk.portfolio()
    client.desk.positions()
    assert list(client.desk.orders()) == []
    with pytest.raises(LookupError):
        client.desk.order("none")
    list(client.desk.trades())
    assert [entry.kind for entry in client.desk.entries()] == ["cash"]
    client.desk.equity()
    assert list(client.backtests.all()) == []
    for read in (client.backtests.get, client.backtests.page):
        with pytest.raises(LookupError):
            read("none")
    client.calendars.venues()
    day = date(2026, 11, 27)
    assert client.calendars.get("XNYS", day, day + timedelta(days=1)).sessions[0].early_close
    assert client.figures.overview().workers.alive == 1
    client.figures.performance()
    client.figures.throughput()
    [worker] = client.figures.workers()
    client.figures.worker(worker.id)
    assert client.figures.is_ready().ready
    assert "closingbell_" in client.figures.metrics()
    assert list(client.audit.all(action="run."))
    assert client.audit.verify().ok
    assert b"".join(client.audit.export("jsonl")).count(b"\n") > 3


def _use_alerts(client: Client) -> None:
    rule = client.alerts.create_rule(AlertRuleRequest(kind="queue_age", for_s=60, channels=[]))
    client.alerts.rule(rule.id)
    changed = AlertRuleRequest(kind="queue_age", for_s=90, channels=[])
    assert client.alerts.change_rule(rule.id, changed, rule.version).for_s == 90
    client.alerts.try_rule(rule.id)
    client.alerts.remove_rule(rule.id)
    assert rule.id not in [one.id for one in client.alerts.rules()]
    alert = next(iter(client.alerts.all(type="task_failure")))
    client.alerts.get(alert.id)
    assert client.alerts.acknowledge(alert.id).acknowledged_by == "ana"
    assert client.alerts.clear(alert.id).cleared_by == "ana"
    client.alerts.channels()
    with pytest.raises(LookupError):
        client.alerts.try_channel("none")
    list(client.alerts.notifications())
