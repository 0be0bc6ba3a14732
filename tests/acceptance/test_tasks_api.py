"""Tasks, events and calendars through the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel

from closingbell.app import App
from closingbell.core.mask import MASK
from closingbell.core.role import Role
from closingbell.triggers import load_overrides
from tests.acceptance.desk import START, StandingClock, ended, make_app
from tests.api_client import signed_in

API = "/api/v1"


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    app = make_app(store_address, StandingClock(START))
    yield app
    app.stop(0)


@pytest.fixture
def desk(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.OPERATOR, "ann") as client:
        yield client


def taken(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


# --- tasks -------------------------------------------------------------------------------------


def test_task_tells_all_its_options_in_words_and_numbers(app: App, desk: httpx.Client) -> None:
    app.task(name="first")(lambda: None)

    @app.task(
        cron="0 9 * * MON-FRI",
        timezone="Europe/London",
        on_event=["tick", "tock"],
        where="change < -0.05",
        after="first",
        within="2h",
        timeout="90s",
        retries=2,
        priority=2,
        tags=["risk"],
        executor="thread",
        max_concurrent=3,
        rate="10/1s@exchange",
        cpu=0.5,
        memory="64MB",
        payload={"book": "A", "key": "hunter2"},
        retention="30d",
        account="paper",
        approval="two-person",
        masked=["key"],
    )
    def scan(book: str, key: str = "") -> None:
        """Look at a book.

        And more.
        """

    task = taken(desk.get(f"{API}/tasks/scan"))

    expected = {
        "name": "scan",
        "registered": True,
        "description": "Look at a book.",
        "executor": "thread",
        "priority": 2,
        "tags": ["risk"],
        "timeout_s": 90.0,
        "on_event": ["tick", "tock"],
        "where": "change < -0.05",
        "after": {"tasks": ["first"], "within_s": 7200.0},
        "limits": {
            "max_concurrent": 3,
            "rate": "at most 10 in 1 s, shared by all of 'exchange'",
            "key": None,
            "cpu": 0.5,
            "memory_bytes": 64_000_000,
        },
        "account": "paper",
        "approval": "two-person",
        "masked": ["key"],
        "payload": {"book": "A", "key": MASK},
        "retention_s": 30 * 86_400.0,
    }
    assert {name: task[name] for name in expected} == expected
    assert task["retry"]["retries"] == 2
    assert task["retry"]["set_at_run_time"] is False
    assert task["when"] == app.registry.resolve("scan").trigger.describe()  # type: ignore[union-attr]
    assert task["trigger"]["kind"] == "cron"
    for part in (
        task["when"],
        "tick or tock",
        "change < -0.05",
        "first have succeeded",
        "two-person",
    ):
        assert part in task["explanation"]
    assert task["standing"]["next_fire_at"] == "2026-03-03T09:00:00Z"


def test_standing_of_a_task_follows_its_runs_and_its_policy(app: App, desk: httpx.Client) -> None:
    def flaky(ok: bool) -> None:
        if not ok:
            raise ValueError("no price")

    app.registry.register_task("flaky", flaky, retry_count=0)
    fresh = taken(desk.get(f"{API}/tasks/flaky"))
    assert fresh["standing"] == {
        "running": 0,
        "last_run_at": None,
        "last_status": None,
        "last_success_at": None,
        "last_error": None,
        "next_fire_at": None,
    }
    assert fresh["explanation"] == "it runs when somebody submits it"
    with app.running():
        ended(app, app.submit("flaky", {"ok": True}).id)
        ended(app, app.submit("flaky", {"ok": False}).id)
        app.retry_controller.set_retry_policy("flaky", max_retries=7)

    task = taken(desk.get(f"{API}/tasks/flaky"))
    assert task["standing"]["last_error"] == "ValueError: no price"
    assert task["standing"]["last_success_at"] == "2026-03-02T14:30:00Z"
    assert (task["retry"]["retries"], task["retry"]["set_at_run_time"]) == (7, True)


def test_tasks_that_only_the_store_knows_are_listed_as_not_registered(
    app: App, store_address: str
) -> None:
    app.task(name="both")(lambda: None)
    app.task(name="gone", masked=["key"])(lambda key="": None)
    app.task(name="planned", interval="1h")(lambda: None)
    app.task(name="listens", on_event="tick")(lambda: None)
    app.submit("gone", {"key": "hunter2"})
    app.stop(0)
    other = make_app(store_address, StandingClock(START))
    other.task(name="both")(lambda: None)
    other.task(name="new")(lambda: None)

    with signed_in(other) as desk:
        tasks = taken(desk.get(f"{API}/tasks"))["items"]
        known = [(task["name"], task["registered"]) for task in tasks]
        assert known == [
            ("both", True),
            ("gone", False),
            ("listens", False),
            ("new", True),
            ("planned", False),
        ]
        assert taken(desk.get(f"{API}/tasks/gone"))["executor"] is None
        refused(desk.get(f"{API}/tasks/gone/form"), 404, "unknown_task")
        here = taken(desk.get(f"{API}/tasks", params={"registered": True, "limit": 1}))
        more = taken(desk.get(f"{API}/tasks", params={"registered": True, "after": here["next"]}))
        assert [task["name"] for task in here["items"] + more["items"]] == ["both", "new"]
        elsewhere = desk.get(f"{API}/tasks", params={"registered": False, "after": here["next"]})
        refused(elsewhere, 422, "invalid_page_token")
    other.stop(0)


@pytest.mark.parametrize("name", ["scna", "scna/form", "'%20OR%201=1", "%3Cscript%3E", "..%2F.."])
def test_task_that_nobody_knows_is_404(app: App, desk: httpx.Client, name: str) -> None:
    app.task(name="scan")(lambda: None)

    problem = refused(desk.get(f"{API}/tasks/{name}"), 404, "unknown_task")

    assert name[:4] != "scna" or problem["near"] == "scan"


def test_names_that_cannot_be_are_422(desk: httpx.Client) -> None:
    for name in ("x" * 201, "a%00b", "a%FFb"):
        refused(desk.get(f"{API}/tasks/{name}"), 422, "invalid_request")


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


class Leg(BaseModel):
    symbol: str
    weight: float = 1.0
    token: str = ""


def test_form_tells_types_defaults_and_help_and_hides_what_is_masked(
    app: App, desk: httpx.Client
) -> None:
    @app.task(masked=["key", "account.secret", "legs.token"])
    def trade(
        context: Any,
        symbol: str,
        quantity: Decimal,
        side: Side = Side.BUY,
        kind: Literal["limit", "market"] = "limit",
        day: date | None = None,
        limits: list[int] | None = None,
        legs: list[Leg] | None = None,
        wait: timedelta = timedelta(minutes=5),
        odd: float = float("nan"),
        key: str = "default secret",
        account: dict[str, Any] | None = None,
        client: object = object(),
    ) -> None:
        """Trade.

        Args:
            symbol: what to trade.
            quantity: how much of it.
        """

    form = taken(desk.get(f"{API}/tasks/trade/form"))

    fields = form["properties"]
    assert form["type"] == "object"
    assert form["required"] == ["symbol", "quantity"]
    assert form["additionalProperties"] is False
    assert "context" not in fields
    assert fields["symbol"] == {
        "type": "string",
        "title": "symbol",
        "description": "what to trade.",
    }
    assert fields["quantity"]["description"] == "how much of it."
    assert fields["side"]["default"] == "buy"
    assert fields["side"]["enum"] == ["buy", "sell"]
    assert fields["kind"]["enum"] == ["limit", "market"]
    assert fields["day"]["anyOf"][0] == {"type": "string", "format": "date"}
    assert (fields["wait"]["format"], fields["wait"]["default"]) == ("duration", "PT5M")
    assert fields["odd"]["default"] is None
    assert "default" not in fields["client"]
    assert fields["key"] == {
        "type": "string",
        "title": "key",
        "format": "password",
        "writeOnly": True,
    }
    assert fields["account"]["anyOf"][0]["properties"]["secret"]["writeOnly"] is True
    assert form["$defs"]["Leg"]["properties"]["token"]["format"] == "password"
    assert "default secret" not in str(form)


@pytest.mark.parametrize(
    "handler",
    [lambda payload: None, lambda everything: None, lambda **rest: None],
)
def test_form_of_a_handler_that_takes_anything_is_open(
    app: App, desk: httpx.Client, handler: Any
) -> None:
    app.registry.register_task("open", handler)

    form = taken(desk.get(f"{API}/tasks/open/form"))

    assert (form["properties"], form["additionalProperties"]) == ({}, True)


# --- events ------------------------------------------------------------------------------------


def test_event_starts_its_tasks_and_is_listed_with_its_data(app: App, desk: httpx.Client) -> None:
    app.task(name="listen", on_event="tick", masked=["key"])(lambda symbol, key="": symbol)

    data = {"symbol": "ACME", "key": "hunter2", "change": -0.1}
    posted = taken(desk.post(f"{API}/events", json={"type": "tick", "data": data}), 201)
    quiet = taken(desk.post(f"{API}/events", json={"type": "tock"}), 201)

    assert app.get_run(posted["run_ids"][0]).payload == {"symbol": "ACME", "key": "hunter2"}
    assert app.get_run(posted["run_ids"][0]).event_id == posted["event_id"]
    assert quiet["run_ids"] == []
    events = taken(desk.get(f"{API}/events"))["items"]
    assert {event["id"] for event in events} == {posted["event_id"], quiet["event_id"]}
    (tick,) = taken(desk.get(f"{API}/events", params={"type": "tick"}))["items"]
    assert tick == {
        "id": posted["event_id"],
        "type": "tick",
        "data": {"symbol": "ACME", "key": MASK, "change": -0.1},
        "happened_at": "2026-03-02T14:30:00Z",
        "runs": 1,
    }


def test_events_are_paged_the_latest_first(app: App, desk: httpx.Client) -> None:
    posted = [
        taken(desk.post(f"{API}/events", json={"type": f"t{n % 2}"}), 201)["event_id"]
        for n in range(6)
    ]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "type": "t0"}
    while True:
        page = taken(desk.get(f"{API}/events", params=query))
        seen += [event["id"] for event in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == posted[4::-2]
    refused(
        desk.get(f"{API}/events", params={"type": "t1", "after": query["after"]}),
        422,
        "invalid_page_token",
    )


def test_event_with_an_id_that_comes_again_is_stored_once(app: App, desk: httpx.Client) -> None:
    app.task(name="listen", on_event="tick")(lambda n: n)
    event = {"type": "tick", "data": {"n": 1}, "id": "feed-17"}

    first = taken(desk.post(f"{API}/events", json=event), 201)
    again = taken(desk.post(f"{API}/events", json=event), 201)

    assert first == again
    assert first["event_id"] == "feed-17"
    assert len(app.list_runs()) == 1
    other = desk.post(f"{API}/events", json={**event, "data": {"n": 2}})
    refused(other, 409, "already_exists")


def test_event_with_an_idempotency_key_that_comes_again_is_stored_once(
    app: App, desk: httpx.Client
) -> None:
    app.task(name="listen", on_event="tick")(lambda n: n)
    body = {"type": "tick", "data": {"n": 1}}

    answers = [
        desk.post(f"{API}/events", json=body, headers={"Idempotency-Key": key})
        for key in ("one", "one", "two")
    ]

    first, again, other = (taken(answer, 201) for answer in answers)
    assert first == again
    assert other["event_id"] != first["event_id"]
    assert len(app.list_runs()) == 2


def test_event_whose_data_does_not_fit_stores_nothing(app: App, desk: httpx.Client) -> None:
    def listen(n: int) -> None: ...

    app.task(on_event="tick")(listen)

    body = {"type": "tick", "data": {"n": "many"}}
    refused(desk.post(f"{API}/events", json=body), 422, "payload_mismatch")

    assert taken(desk.get(f"{API}/events"))["items"] == []
    assert app.list_runs() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": ""},
        {"type": "x" * 201},
        {"type": 5},
        {"type": "tick", "data": [1]},
        {"type": "tick", "dta": {}},
        {"type": "tick", "id": "a/b"},
        {"type": "tick", "id": "x" * 201},
        {"type": "a\0b"},
    ],
)
def test_event_that_cannot_be_is_refused(desk: httpx.Client, body: dict[str, Any]) -> None:
    refused(desk.post(f"{API}/events", json=body), 422, "invalid_request")


def test_event_trigger_is_made_listed_and_removed(app: App, desk: httpx.Client) -> None:
    app.task(name="listen", masked=["key"])(lambda n=0, key="": n)
    body = {
        "task": "listen",
        "event_type": "tick/fast",
        "where": "n > 1",
        "payload": {"key": "hunter2"},
        "priority": 1,
        "reason": "as agreed",
    }

    answer = desk.post(f"{API}/event-triggers", json=body)

    trigger = taken(answer, 201)
    assert (trigger["where"], trigger["payload"], trigger["source"]) == (
        "n > 1",
        {"key": MASK},
        "api",
    )
    assert taken(desk.post(f"{API}/event-triggers", json=body), 201) == trigger
    assert taken(desk.get(f"{API}/event-triggers"))["items"] == [trigger]
    assert taken(desk.get(f"{API}/event-triggers", params={"type": "other"}))["items"] == []
    counts = [
        len(
            taken(desk.post(f"{API}/events", json={"type": "tick/fast", "data": {"n": n}}), 201)[
                "run_ids"
            ]
        )
        for n in (1, 2)
    ]
    assert counts == [0, 1]
    gone = desk.request("DELETE", answer.headers["location"], json={"reason": "no use"})
    assert (gone.status_code, gone.content) == (204, b"")
    refused(desk.delete(answer.headers["location"]), 404, "unknown_event_trigger")
    acts = [(r.actor, r.action, r.reason) for r in app.audit.records(action="event_trigger.")]
    assert acts == [
        ("ann", "event_trigger.removed", "no use"),
        ("ann", "event_trigger.created", "as agreed"),
    ]


def test_event_trigger_that_code_declares_is_not_removed(app: App, desk: httpx.Client) -> None:
    app.task(name="listen", on_event="tick")(lambda: None)
    called = app.on("tock", "listen")

    for which in ("listen@tick", called):
        refused(desk.delete(f"{API}/event-triggers/{which}"), 409, "declared_in_code")
    listed = taken(desk.get(f"{API}/event-triggers"))["items"]
    assert [item["declared_in_code"] for item in listed] == [True, True]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"task": "unheard"}, 404, "unknown_task"),
        ({"where": "n >"}, 422, "invalid_condition"),
        ({"where": "__import__('os')"}, 422, "invalid_condition"),
        ({"where": "x" * 2001}, 422, "invalid_request"),
        ({"event_type": ""}, 422, "invalid_request"),
        ({"payload": {"m": 1}}, 422, "payload_mismatch"),
        ({"payload": {"n": "many"}}, 422, "payload_mismatch"),
        ({"priority": 10}, 422, "invalid_request"),
        ({"colour": "red"}, 422, "invalid_request"),
    ],
)
def test_event_trigger_that_is_refused_is_not_stored(
    app: App, desk: httpx.Client, change: dict[str, Any], status: int, code: str
) -> None:
    def listen(n: int) -> None: ...

    app.task()(listen)
    body = {"task": "listen", "event_type": "tick", **change}

    refused(desk.post(f"{API}/event-triggers", json=body), status, code)

    assert app.store.event_book.triggers() == []


# --- calendars ---------------------------------------------------------------------------------


def test_calendar_tells_sessions_half_days_and_holidays(desk: httpx.Client) -> None:
    query = {"from": "2026-11-25", "to": "2026-11-29"}

    found = taken(desk.get(f"{API}/calendars/nyse", params=query))

    assert (found["venue"], found["timezone"]) == ("XNYS", "America/New_York")
    assert [session["date"] for session in found["sessions"]] == ["2026-11-25", "2026-11-27"]
    half = found["sessions"][1]
    assert (half["close_at"], half["early_close"]) == ("2026-11-27T18:00:00Z", True)
    assert "early close 13:00 instead of 16:00" in half["special"]
    assert found["holidays"] == [{"date": "2026-11-26", "reason": "holiday (Thanksgiving)"}]
    assert (found["is_open"], found["next_close_at"]) == (True, "2026-03-02T21:00:00Z")
    assert found["known_until"] > "2027"


def test_calendar_tells_breaks_and_what_the_own_file_changes(
    desk: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "calendars.toml"
    file.write_text('[calendars.DESK]\nlike = "XTKS"\nclosed = [2026-03-03]\n', encoding="utf-8")
    load_overrides(file)
    try:
        listed = taken(desk.get(f"{API}/calendars"))
        found = taken(
            desk.get(f"{API}/calendars/DESK", params={"from": "2026-03-02", "to": "2026-03-04"})
        )
    finally:
        load_overrides(None)

    assert [one["venue"] for one in listed["venues"] if one["overridden"]] == ["DESK"]
    assert {"XNYS", "XLON", "24/7"} <= {one["venue"] for one in listed["venues"]}
    assert [session["date"] for session in found["sessions"]] == ["2026-03-02", "2026-03-04"]
    assert len(found["sessions"][0]["breaks"]) == 1
    assert [day["date"] for day in found["holidays"]] == ["2026-03-03"]


def test_calendar_beyond_its_end_has_no_sessions_and_says_where_it_ends(
    desk: httpx.Client,
) -> None:
    query = {"from": "2150-01-01", "to": "2150-12-31"}

    found = taken(desk.get(f"{API}/calendars/XNYS", params=query))

    assert (found["sessions"], found["holidays"]) == ([], [])
    assert datetime.fromisoformat(found["known_until"]).replace(tzinfo=UTC).year < 2150


def test_calendar_of_a_venue_with_a_slash_is_found(desk: httpx.Client) -> None:
    assert taken(desk.get(f"{API}/calendars/24%2F7"))["is_open"] is True
    assert taken(desk.get(f"{API}/calendars/24/7"))["venue"] == "24/7"


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("XNYX", {}, 404),
        ("'; DROP TABLE runs; --", {}, 404),
        ("x" * 101, {}, 422),
        ("XNYS", {"from": "2026-01-02", "to": "2026-01-01"}, 422),
        ("XNYS", {"from": "2026-01-01", "to": "2027-02-01"}, 422),
        ("XNYS", {"from": "1700000000"}, 422),
        ("XNYS", {"from": "2026-13-01"}, 422),
        ("XNYS", {"to": "9999-12-31"}, 422),
        ("XNYS", {"from": "0001-01-01"}, 422),
    ],
)
def test_calendar_that_cannot_be_told_is_refused(
    desk: httpx.Client, path: str, query: dict[str, str], status: int
) -> None:
    assert desk.get(f"{API}/calendars/{path}", params=query).status_code == status
