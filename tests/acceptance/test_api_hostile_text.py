"""Text that looks like SQL, script or a header: it comes back as text, from every list and page."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import ADDRESS, bearer, beside, nobody, signed_in

PREFIX = "/api/v1"
TEXTS = (
    "'; DROP TABLE runs; --",
    "x' OR '1'='1",
    "100%_\\",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}%s%n",
    "../../etc/passwd",
    "Größe 価格 \u202etxt.exe \U0001f514",
    "a,b;c|d",
)
#: What stands in a header or an address of ours if it stands in a name.
LINES = ("one\r\nSet-Cookie: a=b", "a\nb", "\x1b[2J", "a\x7fb", "tab\tbed")


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    made = create_app(store_address)

    @made.task(retries=0)
    def scan(**fields: Any) -> None:
        return None

    yield made
    made.stop()


@pytest.fixture
def ana(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.ADMIN, "ana") as client:
        yield client


def sent(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(PREFIX + path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def listed(client: httpx.Client, path: str, **params: str) -> list[Any]:
    answer = client.get(PREFIX + path, params=params)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


def test_text_of_every_field_comes_back_as_it_was_sent(ana: httpx.Client) -> None:
    for text in TEXTS:
        run = sent(
            ana,
            "/runs",
            {"task": "scan", "payload": {text: text}, "tags": [text], "key": text, "reason": text},
        )
        assert run["tags"] == [text]
        assert ana.get(f"{PREFIX}/runs/{run['id']}").json()["payload"] == {text: text}
        assert [one["id"] for one in listed(ana, "/runs", tag=text)] == [run["id"]]
        # Looked for as text: a percent sign is no wildcard, a quote ends nothing.
        assert listed(ana, "/runs", q=text) == []
        ana.post(f"{PREFIX}/runs/{run['id']}/cancel", json={"reason": text})
        assert [one["id"] for one in listed(ana, "/runs", q=text)] == [run["id"]]

        batch = sent(ana, "/batches", {"task": "scan", "payloads": [{}], "name": text})
        assert ana.get(f"{PREFIX}/batches/{batch['id']}").json()["name"] == text
        event = sent(ana, "/events", {"type": text, "data": {text: text}})
        [found] = listed(ana, "/events", type=text)
        assert (found["id"], found["data"]) == (event["event_id"], {text: text})

        trigger = ana.post(
            f"{PREFIX}/event-triggers",
            json={"task": "scan", "event_type": text, "payload": {"a": text}},
        )
        assert trigger.status_code == 201, trigger.text
        [found] = listed(ana, "/event-triggers", type=text)
        assert found["event_type"] == text
        # Where it is found is an address, whatever its name.
        gone = ana.delete(trigger.headers["location"])
        assert gone.status_code == 204, gone.text
        assert listed(ana, "/event-triggers", type=text) == []

        schedule = sent(
            ana,
            "/schedules",
            {"task": "scan", "trigger": {"interval": "1h"}, "payload": {"a": text}, "tags": [text]},
        )
        ana.post(f"{PREFIX}/schedules/{schedule['id']}/pause", json={"reason": text})
        stands = ana.get(f"{PREFIX}/schedules/{schedule['id']}").json()
        assert (stands["payload"], stands["tags"]) == ({"a": text}, [text])
        assert stands["paused_reason"] == text
        ana.delete(f"{PREFIX}/schedules/{schedule['id']}")

        # Who somebody is must be readable as it stands: nothing in it turns the letters round.
        who = text.replace("\u202e", "")
        token = sent(ana, "/tokens", {"name": who, "owner": who, "role": "viewer"})
        assert ana.get(f"{PREFIX}/tokens/{token['id']}").json()["owner"] == who
        assert listed(ana, "/audit", actor=text) == []
        assert text in {one["reason"] for one in listed(ana, "/audit")}


def test_text_in_a_query_or_an_address_finds_nothing_and_breaks_nothing(ana: httpx.Client) -> None:
    sent(ana, "/runs", {"task": "scan"})
    for text in TEXTS:
        for path, name in (
            ("/runs", "task"),
            ("/runs", "tag"),
            ("/runs", "schedule"),
            ("/runs", "requested_by"),
            ("/schedules", "task"),
            ("/events", "type"),
            ("/alerts", "task"),
            ("/audit", "action"),
            ("/audit", "target_id"),
        ):
            assert listed(ana, path, **{name: text}) == [], (path, name, text)
        quoted = "".join(f"%{byte:02x}" for byte in text.encode())
        for path in ("runs", "batches", "schedules", "tasks", "alerts", "tokens", "accounts"):
            answer = ana.get(f"{PREFIX}/{path}/{quoted}")
            assert answer.status_code == 404, (path, text, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    assert len(listed(ana, "/runs")) == 1


def test_name_of_more_than_a_line_is_refused(ana: httpx.Client) -> None:
    for text in LINES:
        for path, body in (
            ("/runs", {"task": "scan", "tags": [text]}),
            ("/events", {"type": text}),
            ("/event-triggers", {"task": "scan", "event_type": text}),
            ("/batches", {"task": "scan", "payloads": [{}], "name": text}),
            ("/tokens", {"name": text, "role": "viewer"}),
            ("/tokens", {"name": "ci", "owner": text, "role": "viewer"}),
        ):
            answer = ana.post(PREFIX + path, json=body)
            assert answer.status_code == 422, (path, text)
    assert listed(ana, "/runs") == listed(ana, "/events") == listed(ana, "/event-triggers") == []


def test_pages_show_text_as_text(app: App, ana: httpx.Client) -> None:
    script, image = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
    for text in (script, image):
        run = sent(ana, "/runs", {"task": "scan", "reason": text})
        ana.post(f"{PREFIX}/runs/{run['id']}/cancel", json={"reason": text})
    report = ana.get(f"{PREFIX}/audit/export", params={"format": "html"})
    assert report.status_code == 200
    assert "<script>alert" not in report.text
    assert "<img" not in report.text
    assert "&lt;script&gt;alert(1)" in report.text
    # What a browser would do with a page that slipped through: nothing.
    assert "script-src" not in report.headers["content-security-policy"]
    assert report.headers["x-content-type-options"] == "nosniff"
    with nobody(app) as stranger:
        for text in (script, image, "//evil.example", "/\\evil.example", "/\nx", "https://evil"):
            page = stranger.get("/sign-in", params={"next": text})
            assert page.status_code == 200
            assert "evil" not in page.text
            assert "alert(1)" not in page.text
    with httpx.Client(transport=beside(create_api(app)), base_url=ADDRESS) as browser:
        token = bearer(app, Role.VIEWER, script)["Authorization"].removeprefix("Bearer ")
        own = {"Origin": ADDRESS}
        assert browser.post("/sign-in", data={"token": token}, headers=own).status_code == 303
        front = browser.get("/")
        assert front.status_code == 200
        assert "<script>alert" not in front.text


def test_page_token_of_another_query_store_or_nobody_is_refused(
    app: App, ana: httpx.Client
) -> None:
    for _ in range(3):
        sent(ana, "/runs", {"task": "scan"})
    token = ana.get(f"{PREFIX}/runs", params={"limit": 1}).json()["next"]
    assert len(listed(ana, "/runs", after=token)) == 2
    mark = json.loads(base64.urlsafe_b64decode(token + "=="))[0]

    def made(*parts: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps([mark, *parts]).encode()).decode().rstrip("=")

    broken = [
        token[:-1],
        token[:10],
        token + "AAAA",
        token * 200,
        "",
        "====",
        "null",
        "é",
        made(),
        made(1),
        made("a", "b"),
        made({"a": 1}),
        made(2**70),
        made("\ud800"),
        made("a\0b"),
        base64.urlsafe_b64encode(b"[" * 1_400).decode(),
    ]
    for one in broken:
        answer = ana.get(f"{PREFIX}/runs", params={"after": one})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_page_token"), one
    # A place is no secret and no right: one that is made up begins somewhere else, and no more.
    for place in ("'; DROP TABLE runs; --", "", "zzz", "%"):
        assert ana.get(f"{PREFIX}/runs", params={"after": made(place)}).status_code == 200
    for path in ("/batches", "/schedules", "/events", "/tokens", "/audit", "/alerts", "/sessions"):
        answer = ana.get(PREFIX + path, params={"after": token})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_page_token"), path
    assert ana.get(f"{PREFIX}/runs", params={"after": token, "task": "scan"}).status_code == 422
