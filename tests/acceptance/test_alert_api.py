"""The routes of alerts, rules, messages and channels, and the command line over the same store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import App, create_app
from closingbell.api.server import ApiServer
from closingbell.core.clock import SystemClock
from tests.unit.monitor.receiver import Receiver

TOKEN = "0123456789abcdef" * 4


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def app(tmp_path: Path, receiver: Receiver) -> Iterator[App]:
    app = create_app(tmp_path / "a.db", guardian=False, token=TOKEN)
    app.add_channel("desk", webhook=receiver.url, secret="a secret of sixteen")
    app.add_alert_rule("overdue", id="coded", for_s=60)
    yield app
    app.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with (
        ApiServer(app, port=0) as server,
        httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=20) as client,
    ):
        yield client


def taken(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def raised(app: App, count: int = 3) -> list[str]:
    now = SystemClock().micros()
    for number in range(count):
        app.store.alerts.put(f"a{number}", "task_alert", f"m{number}", now + number, task="t")
    return [f"a{number}" for number in range(count)]


def test_alerts_are_listed_by_page_acknowledged_and_cleared(app: App, client: httpx.Client) -> None:
    raised(app, 5)
    first = taken(client.get("/alerts", params={"limit": 2, "type": "task_alert"}))
    assert [one["id"] for one in first["items"]] == ["a4", "a3"]
    page = {"limit": 2, "type": "task_alert", "after": first["next"]}
    assert [one["id"] for one in taken(client.get("/alerts", params=page))["items"]] == ["a2", "a1"]
    refused(client.get("/alerts", params={"after": first["next"]}), 422, "invalid_page_token")
    acked = taken(client.post("/alerts/a1/acknowledge", json={"reason": "mine"}))
    assert (acked["state"], acked["notifications"]) == ("acknowledged", [])
    assert acked["acknowledged_by"]
    assert taken(client.post("/alerts/a2/clear"))["state"] == "cleared"
    refused(client.post("/alerts/a2/acknowledge"), 409, "invalid_transition")
    refused(client.get("/alerts/nobody"), 404, "unknown_alert")
    by_state = {
        state: len(taken(client.get("/alerts", params={"state": state}))["items"])
        for state in ("open", "acknowledged", "cleared")
    }
    assert by_state == {"open": 3, "acknowledged": 1, "cleared": 1}
    refused(client.get("/alerts", params={"severity": "HIGH"}), 422, "invalid_request")
    refused(client.post("/alerts/a1/clear", json={"why": 1}), 422, "invalid_request")


def test_rules_are_made_changed_by_version_and_removed(app: App, client: httpx.Client) -> None:
    quiet = {"from": "22:00", "to": "07:00", "zone": "Europe/London"}
    asked = {"id": "mine", "kind": "drawdown", "fraction": 0.1, "quiet_hours": quiet}
    answer = client.post("/alert-rules", json=asked)
    made = taken(answer, 201)
    assert answer.headers["location"] == "/api/v1/alert-rules/mine"
    assert (made["fraction"], made["channels"], made["source"]) == (0.1, ["*"], "api")
    assert made["quiet_hours"]["days"][0] == "mon"
    refused(client.post("/alert-rules", json=asked), 409, "already_exists")
    refused(client.post("/alert-rules", json={"kind": "drawdown"}), 422, "invalid_alert_rule")
    for wrong in ({"kind": "overdue", "x": 1}, {"kind": "overdue", "for_s": "9"}, {}):
        refused(client.post("/alert-rules", json=wrong), 422, "invalid_request")
    change = {"kind": "drawdown", "fraction": 0.2}
    refused(client.put("/alert-rules/mine", json=change), 428, "version_missing")
    stale = {"if-match": '"9"'}
    refused(client.put("/alert-rules/mine", json=change, headers=stale), 412, "version_mismatch")
    tag = client.get("/alert-rules/mine").headers["etag"]
    fresh = client.put("/alert-rules/mine", json=change, headers={"if-match": tag})
    assert taken(fresh)["fraction"] == 0.2
    assert fresh.headers["etag"] == '"2"'
    assert client.delete("/alert-rules/mine").status_code == 204
    refused(client.get("/alert-rules/mine"), 404, "unknown_alert_rule")


def test_rules_of_code_can_be_disabled_and_nothing_else(app: App, client: httpx.Client) -> None:
    rule = taken(client.get("/alert-rules/coded"))
    body = {"kind": "overdue", "for_s": 60, "channels": ["*"], "enabled": False}
    tag = {"if-match": f'"{rule["version"]}"'}
    refused(
        client.put("/alert-rules/coded", json={**body, "for_s": 9}, headers=tag),
        409, "declared_in_code",
    )  # fmt: skip
    assert not taken(client.put("/alert-rules/coded", json=body, headers=tag))["enabled"]
    refused(client.delete("/alert-rules/coded"), 409, "declared_in_code")
    refused(client.delete("/alert-rules/default-overdue"), 409, "declared_in_code")
    listed = taken(client.get("/alert-rules"))["items"]
    assert {"coded", "default-task_failure"} <= {one["id"] for one in listed}


def test_channels_and_rules_are_tried_without_a_secret_in_any_answer(
    app: App, client: httpx.Client, receiver: Receiver
) -> None:
    shown = client.get("/channels")
    assert [one["name"] for one in taken(shown)] == ["desk"]
    assert "sixteen" not in shown.text
    assert "secret-path" not in shown.text
    assert taken(client.post("/channels/desk/test")) == {
        "channel": "desk", "sent": True, "error": None,
    }  # fmt: skip
    receiver.answers.append(500)
    assert not taken(client.post("/channels/desk/test"))["sent"]
    refused(client.post("/channels/dsk/test"), 404, "unknown_channel")
    tried = taken(client.post("/alert-rules/coded/test"))
    assert tried["findings"] == []
    assert tried["channels"] == [{"channel": "desk", "sent": True, "error": None}]
    assert [one.json["type"] for one in receiver.received] == ["alert.test"] * 3
    acts = [record.action for record in app.store.audit.records(action="channel.tested")]
    assert len(acts) == 3


def test_messages_are_listed_with_what_became_of_them(
    app: App, client: httpx.Client, receiver: Receiver
) -> None:
    raised(app, 1)
    app.start(block=False, worker=False)
    assert receiver.came.acquire(timeout=20)
    app.machinery.alert_watch.stop()
    (one,) = taken(client.get("/notifications", params={"state": "sent"}))["items"]
    assert (one["alert_id"], one["channel"], one["occasion"]) == ("a0", "desk", "raised")
    detail = taken(client.get("/alerts/a0"))
    assert [told["id"] for told in detail["notifications"]] == [one["id"]]
    refused(client.get("/notifications", params={"state": "x"}), 422, "invalid_request")


def test_nobody_sees_or_does_anything_without_signing_in(client: httpx.Client) -> None:
    del client.headers["authorization"]
    for method, path in (
        ("GET", "/alerts"),
        ("POST", "/alerts/a/acknowledge"),
        ("GET", "/alert-rules"),
        ("GET", "/channels"),
        ("POST", "/channels/desk/test"),
        ("GET", "/notifications"),
    ):
        assert client.request(method, path).status_code == 401


def test_command_line_acknowledges_clears_lists_rules_and_tries_channels(
    app: App, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from closingbell.cli.main import commands

    raised(app, 2)
    app.stop()
    where = ("--database", str(tmp_path / "a.db"), "--json")

    def said(*words: str, code: int = 0) -> Any:
        answer = CliRunner().invoke(commands, [*words, *where])
        assert answer.exit_code == code, answer.output
        return json.loads(answer.stdout) if code == 0 else None

    assert said("alert", "ack", "a0", "--reason", "mine")["state"] == "acknowledged"
    assert said("alert", "clear", "a1")["state"] == "cleared"
    assert [one["id"] for one in said("alerts")["alerts"]] == ["a0"]
    assert [one["id"] for one in said("alerts", "--state", "cleared")["alerts"]] == ["a1"]
    assert len(said("alerts", "--state", "all")["alerts"]) == 2
    assert "coded" in {one["id"] for one in said("alert", "rules")["rules"]}
    said("alert", "ack", "nobody", code=3)
    said("alert", "test-channel", "nobody", code=3)
