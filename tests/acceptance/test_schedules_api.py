"""Schedules through the API: made, changed, paused, resumed, run at once, and what they tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from closingbell.app import App
from closingbell.core.mask import MASK
from closingbell.core.role import Role
from closingbell.triggers import Every
from tests.acceptance.desk import START, StandingClock, ended, eventually, make_app
from tests.api_client import signed_in

SCHEDULES = "/api/v1/schedules"


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(START)


def declare(app: App) -> None:
    app.task(name="own", interval="1h")(lambda: None)
    app.task(name="other")(lambda: None)

    @app.task(masked=["secret", "account.key"], payload={"book": "main"}, tags=["own"])
    def scan(
        book: str, limit: int = 5, secret: str = "", account: dict[str, Any] | None = None
    ) -> str:
        return f"{book} {secret}"


@pytest.fixture
def app(store_address: str, clock: StandingClock) -> Iterator[App]:
    app = make_app(store_address, clock, timezone="Europe/Berlin")
    declare(app)
    yield app
    app.stop(0)


@pytest.fixture
def desk(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.OPERATOR, "ann") as client:
        yield client


def made(desk: httpx.Client, **given: Any) -> dict[str, Any]:
    body = {"id": "mine", "task": "scan", "trigger": {"interval": "10m"}, **given}
    answer = desk.post(SCHEDULES, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


def audited(app: App) -> list[tuple[str, str, str | None]]:
    """(who, what, why) of the schedule acts, oldest first."""
    records = app.audit.records(action="schedule.")[::-1]
    return [(r.actor, r.action, r.reason) for r in records if r.target_id == "mine"]


# --- making ------------------------------------------------------------------------------------


def test_schedule_that_is_made_is_stored_with_all_its_fields_and_fires(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    with app.running():
        answer = desk.post(
            SCHEDULES,
            json={
                "id": "mine",
                "task": "scan",
                "trigger": {"cron": "40 15 * * *"},
                "payload": {"book": "B"},
                "priority": 2,
                "tags": ["close"],
                "timezone": "Europe/London",
                "catch_up": "all",
                "catch_up_window": "2h",
                "grace_s": 30,
                "overlap": "buffer_one",
                "jitter": 0,
                "start": "2026-03-01T00:00:00",
                "end": "2026-12-31T00:00:00Z",
                "blackouts": ["22:00-23:00", {"window": "12:00-13:00", "days": "MON-FRI"}],
                "reason": "as agreed",
            },
        )
        assert answer.status_code == 201
        assert answer.headers["location"] == f"{SCHEDULES}/mine"
        schedule = answer.json()
        assert answer.headers["etag"] == f'"{schedule["version"]}"'
        clock.advance(timedelta(minutes=70))
        run = eventually(lambda: app.list_runs(task="scan"))[0]
        ended(app, run.id)

    assert run.fire_at == datetime(2026, 3, 2, 15, 40, tzinfo=UTC)
    assert (run.payload, run.priority, run.tags) == ({"book": "B"}, 2, ("own", "close"))
    assert run.schedule_id == "mine"
    expected = {
        "task": "scan",
        "registered": True,
        "catch_up": "all",
        "catch_up_window_s": 7200.0,
        "grace_s": 30.0,
        "overlap": "buffer_one",
        "jitter_s": 0.0,
        # Naive: the schedule's own zone.
        "start": "2026-03-01T00:00:00Z",
        "end": "2026-12-31T00:00:00Z",
        "source": "api",
        "declared_in_code": False,
        "paused": False,
        "next_fire_at": "2026-03-02T15:40:00Z",
    }
    assert {name: schedule[name] for name in expected} == expected
    assert [window["timezone"] for window in schedule["blackouts"]] == ["Europe/London"] * 2
    assert "Europe/London" in schedule["when"]
    (record,) = app.audit.records(action="schedule.created", actor="ann")
    assert (record.target_id, record.after["task"], record.after["source"], record.reason) == (
        "mine",
        "scan",
        "api",
        "as agreed",
    )


@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        ({"interval": "5m"}, "2026-03-02T14:35:00Z"),
        ({"interval": "daily", "time": "18:00"}, "2026-03-02T17:00:00Z"),
        ({"time": "18:00"}, "2026-03-02T17:00:00Z"),
        ({"interval": "weekly", "day": "FRI", "time": "18:00"}, "2026-03-06T17:00:00Z"),
        ({"interval": "monthly", "day": 5}, "2026-03-04T23:00:00Z"),
        ({"cron": "0 9 * * MON"}, "2026-03-09T08:00:00Z"),
        ({"session": "XNYS close-15m"}, "2026-03-02T20:45:00Z"),
        ({"at": "2026-05-01T09:00:00"}, "2026-05-01T07:00:00Z"),
        ({"kind": "cron", "expression": "0 9 * * MON", "timezone": "UTC"}, "2026-03-09T09:00:00Z"),
    ],
)
def test_trigger_in_the_words_of_a_task_is_read_in_the_apps_zone(
    sqlite_address: str, clock: StandingClock, trigger: dict[str, Any], first: str
) -> None:
    app = make_app(sqlite_address, clock, timezone="Europe/Berlin")
    declare(app)
    with signed_in(app) as desk:
        assert made(desk, trigger=trigger)["next_fire_at"] == first
    app.stop(0)


def test_schedule_without_an_id_has_one_and_is_made_only_once(desk: httpx.Client) -> None:
    body = {"task": "other", "trigger": {"interval": "10m"}}
    first = desk.post(SCHEDULES, json=body)

    assert first.json()["id"].startswith("other/")
    refused(desk.post(SCHEDULES, json=body), 409, "already_exists")
    assert desk.get(first.headers["location"]).json()["id"] == first.json()["id"]


def test_request_with_a_key_that_is_sent_again_makes_nothing_twice(
    app: App, desk: httpx.Client
) -> None:
    key = {"Idempotency-Key": "one"}
    first = desk.post(SCHEDULES, json=BODY, headers=key)
    assert desk.post(SCHEDULES, json=BODY, headers=key).json() == first.json()
    # Its answer was lost, and the key with it.
    again = desk.post(SCHEDULES, json=BODY, headers={"Idempotency-Key": "two"})
    assert (again.status_code, again.json()) == (201, first.json())
    other = {**BODY, "trigger": {"interval": "1h"}}
    refused(desk.post(SCHEDULES, json=other, headers=key), 422, "idempotency_key_reused")
    third = {"Idempotency-Key": "three"}
    refused(desk.post(SCHEDULES, json=other, headers=third), 409, "already_exists")

    fourth = {"Idempotency-Key": "four"}
    answers = [desk.post(f"{SCHEDULES}/mine/run-now", headers=fourth) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert [what for _, what, _ in audited(app)] == ["schedule.created", "schedule.run_now"]


def test_schedule_in_the_place_of_another_is_refused_and_changes_nothing(
    desk: httpx.Client,
) -> None:
    stored = made(desk)

    refused(
        desk.post(SCHEDULES, json={**BODY, "trigger": {"interval": "1h"}}), 409, "already_exists"
    )
    refused(desk.post(SCHEDULES, json={**BODY, "id": "scan"}), 422, "invalid_submission")
    assert desk.get(f"{SCHEDULES}/mine").json() == stored


def test_schedules_are_listed_by_id_and_page_by_page(desk: httpx.Client, app: App) -> None:
    app.task(name="after_own", after="own")(lambda: None)
    for number in range(5):
        made(desk, id=f"s{number}", task="other", payload=None)
    desk.post(f"{SCHEDULES}/s3/pause", json={"reason": "rest"})

    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = desk.get(SCHEDULES, params=query).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == ["own", "s0", "s1", "s2", "s3", "s4"]
    by_task = desk.get(SCHEDULES, params={"task": "own"}).json()["items"]
    assert [(item["id"], item["source"], item["declared_in_code"]) for item in by_task] == [
        ("own", "task", True)
    ]
    paused = desk.get(SCHEDULES, params={"paused": True}).json()["items"]
    assert [item["id"] for item in paused] == ["s3"]
    assert len(desk.get(SCHEDULES, params={"paused": False}).json()["items"]) == 5
    foreign = desk.get(SCHEDULES, params={"task": "own", "after": query["after"]})
    refused(foreign, 422, "invalid_page_token")


# --- changing ----------------------------------------------------------------------------------

BODY = {"id": "mine", "task": "scan", "trigger": {"interval": "10m"}}


def test_change_needs_the_version_that_was_read(app: App, desk: httpx.Client) -> None:
    version = made(desk)["version"]
    path, body = f"{SCHEDULES}/mine", {**BODY, "trigger": {"interval": "20m"}}

    refused(desk.put(path, json=body), 428, "version_missing")
    changed = desk.put(path, json=body, headers={"If-Match": f'"{version}"'})
    assert changed.status_code == 200
    assert changed.json()["when"] == "every 20 minutes"
    assert changed.json()["next_fire_at"] == "2026-03-02T14:40:00Z"
    assert changed.headers["etag"] != f'"{version}"'
    late = desk.put(path, json=BODY, headers={"If-Match": f'"{version}"'})
    problem = refused(late, 412, "version_mismatch")
    assert problem["current"] == changed.json()["version"]
    assert desk.get(path).json() == changed.json()
    (record,) = app.audit.records(action="schedule.changed")
    assert (record.actor, record.before["trigger"]["interval"]) == ("ann", "10m")


def test_firing_meanwhile_is_no_change_and_a_pause_is_one(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    version = made(desk)["version"]
    with app.running():
        clock.advance(timedelta(minutes=10))
        eventually(lambda: app.list_runs(task="scan"))
    path = f"{SCHEDULES}/mine"
    body = {**BODY, "priority": 3}

    assert desk.get(path).json()["version"] == version
    desk.post(f"{path}/pause", json={"reason": "rest"})
    refused(desk.put(path, json=body, headers={"If-Match": version}), 412, "version_mismatch")
    paused = desk.get(path)
    answer = desk.put(path, json=body, headers={"If-Match": paused.headers["etag"]})
    assert (answer.json()["priority"], answer.json()["paused"]) == (3, True)


def test_what_was_read_can_be_sent_back_as_a_change(desk: httpx.Client) -> None:
    stored = made(
        desk,
        trigger={"session": "XNYS close-15m"},
        jitter="5s",
        blackouts=["22:00-23:00"],
        end="2027-01-01T00:00:00Z",
    )
    names = [
        "id",
        "task",
        "trigger",
        "payload",
        "priority",
        "tags",
        "catch_up",
        "catch_up_window_s",
        "grace_s",
        "overlap",
        "jitter_s",
        "start",
        "end",
        "blackouts",
    ]
    body = {name: stored[name] for name in names}

    answer = desk.put(f"{SCHEDULES}/mine", json=body, headers={"If-Match": stored["version"]})

    assert answer.json() == stored


def test_masked_fields_are_shown_to_nobody_and_survive_a_change(
    app: App, desk: httpx.Client
) -> None:
    payload = {"book": "B", "secret": "hunter2", "account": {"key": "k-1", "name": "n"}}
    stored = made(desk, payload=payload)

    assert stored["payload"] == {
        "book": "B",
        "secret": MASK,
        "account": {"key": MASK, "name": "n"},
    }
    body = {**BODY, "payload": {**stored["payload"], "book": "C"}}
    answer = desk.put(f"{SCHEDULES}/mine", json=body, headers={"If-Match": stored["version"]})
    assert answer.status_code == 200
    listed = desk.get(SCHEDULES, params={"task": "scan"}).text
    assert "hunter2" not in answer.text + listed
    definition = app.store.schedules.get("mine")["definition"]
    assert '"secret":"hunter2"' in definition
    assert '"key":"k-1"' in definition
    assert '"book":"C"' in definition
    assert all("hunter2" not in str(record) for record in app.audit.records())


def test_change_of_what_code_declares_is_refused(app: App, desk: httpx.Client) -> None:
    app.schedule("other", Every("5m"), id="declared")
    for which, task in (("own", "own"), ("declared", "other")):
        path = f"{SCHEDULES}/{which}"
        etag = desk.get(path).headers["etag"]
        body = {"task": task, "trigger": {"interval": "2h"}}
        changed = desk.put(path, json=body, headers={"If-Match": etag})
        refused(changed, 409, "declared_in_code")
        problem = refused(desk.delete(path), 409, "declared_in_code")
        assert "pause it" in problem["detail"]
        assert desk.get(path).json()["declared_in_code"] is True


def test_schedule_that_is_removed_is_gone_and_its_past_stays(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    made(desk)
    with app.running():
        clock.advance(timedelta(minutes=10))
        eventually(lambda: app.list_runs(task="scan"))
        gone = desk.request("DELETE", f"{SCHEDULES}/mine", json={"reason": "no use"})
        assert (gone.status_code, gone.content) == (204, b"")
        clock.advance(timedelta(minutes=30))
    for path in ("mine", "mine/next", "mine/ticks"):
        refused(desk.get(f"{SCHEDULES}/{path}"), 404, "unknown_schedule")
    refused(desk.delete(f"{SCHEDULES}/mine"), 404, "unknown_schedule")
    assert len(app.list_runs(task="scan")) == 1
    assert audited(app)[-1] == ("ann", "schedule.removed", "no use")


def test_schedule_of_code_that_is_gone_may_be_removed(
    app: App, desk: httpx.Client, store_address: str, clock: StandingClock
) -> None:
    app.schedule("other", Every("5m"), id="declared")
    assert app.store.schedules.get("declared")["source"] == "app"
    app.stop(0)

    without = make_app(store_address, clock)
    declare(without)
    with signed_in(without) as desk:
        assert desk.get(f"{SCHEDULES}/declared").json()["declared_in_code"] is False
        assert desk.delete(f"{SCHEDULES}/declared").status_code == 204
    without.stop(0)


# --- pausing -----------------------------------------------------------------------------------


def test_pause_holds_firings_back_and_says_why_until_it_is_resumed(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    made(desk)
    path = f"{SCHEDULES}/mine"
    with app.running():
        paused = desk.post(f"{path}/pause", json={"reason": "audit"}).json()
        assert (paused["paused"], paused["paused_reason"], paused["paused_until"]) == (
            True,
            "audit",
            None,
        )
        told = desk.get(f"{path}/next", params={"count": 2}).json()
        assert [line["suppressed_by"] for line in told] == ["pause", "pause"]
        assert "audit" in told[0]["explanation"]
        clock.advance(timedelta(minutes=35))
        resumed = desk.post(f"{path}/resume", json={"reason": "done"}).json()
        assert (resumed["paused"], resumed["next_fire_at"]) == (False, "2026-03-02T15:10:00Z")
        clock.advance(timedelta(minutes=5))
        run = eventually(lambda: app.list_runs(task="scan"))[0]
        ended(app, run.id)
    assert run.fire_at == START + timedelta(minutes=40)
    assert audited(app) == [
        ("ann", "schedule.created", None),
        ("ann", "schedule.paused", "audit"),
        ("ann", "schedule.resumed", "done"),
    ]


def test_pause_with_an_end_is_told_in_the_outlook_and_ends_by_itself(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    made(desk, catch_up="skip", grace_s=1)
    path = f"{SCHEDULES}/mine"
    until = (START + timedelta(minutes=25)).isoformat()

    desk.post(f"{path}/pause", json={"reason": "rest", "until": until})

    told = desk.get(f"{path}/next", params={"count": 4}).json()
    assert [line["suppressed_by"] for line in told] == ["pause", "pause", None, None]
    with app.running(worker=False):
        clock.advance(timedelta(minutes=30))
        eventually(lambda: app.list_runs(task="scan"))
    assert [run.fire_at for run in app.list_runs(task="scan")] == [START + timedelta(minutes=30)]
    standing = desk.get("/api/v1/tasks/scan").json()["standing"]
    assert standing["next_fire_at"] == "2026-03-02T15:10:00Z"
    assert desk.get(path).json()["paused"] is False


def test_resume_with_catch_up_runs_what_the_pause_kept_back(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    made(desk, catch_up="all", overlap="allow")
    path = f"{SCHEDULES}/mine"
    with app.running():
        desk.post(f"{path}/pause", json={"reason": "rest"})
        clock.advance(timedelta(minutes=25))
        desk.post(f"{path}/resume", json={"catch_up": True})
        eventually(lambda: len(app.list_runs(task="scan")) == 2)


def test_resume_of_what_is_not_paused_changes_nothing(app: App, desk: httpx.Client) -> None:
    stored = made(desk)

    assert desk.post(f"{SCHEDULES}/mine/resume").json() == stored
    assert audited(app) == [("ann", "schedule.created", None)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": ""},
        {"reason": "x" * 2001},
        {"reason": "r", "until": "2020-01-01T00:00:00Z"},
        {"reason": "r", "until": 5},
        {"reason": "r", "untl": "2027-01-01T00:00:00Z"},
    ],
)
def test_pause_that_is_refused_pauses_nothing(desk: httpx.Client, body: dict[str, Any]) -> None:
    made(desk)

    assert desk.post(f"{SCHEDULES}/mine/pause", json=body).status_code == 422
    assert desk.get(f"{SCHEDULES}/mine").json()["paused"] is False


# --- running now -------------------------------------------------------------------------------


def test_run_now_runs_the_schedules_payload_and_says_who_asked(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    payload = {"book": "B", "secret": "hunter2"}
    stored = made(desk, payload=payload, priority=2, tags=["close"], overlap="buffer_all")
    with app.running():
        answer = desk.post(f"{SCHEDULES}/mine/run-now", json={"reason": "a client asks"})
        assert answer.status_code == 201
        run = ended(app, answer.json()["id"])

    assert answer.headers["location"].endswith(f"/runs/{run.id}")
    assert (run.payload, run.priority, run.tags) == (payload, 2, ("own", "close"))
    assert (run.schedule_id, run.cause, run.requested_by) == ("mine", "submit", "ann")
    assert run.result == "B hunter2"
    assert answer.json()["payload"] == {"book": "B", "secret": MASK}
    assert desk.get(f"{SCHEDULES}/mine").json() == stored
    assert audited(app)[-1] == ("ann", "schedule.run_now", "a client asks")
    assert desk.get(f"{SCHEDULES}/mine/ticks").json()["items"] == []


def test_run_now_of_a_task_that_is_unknown_here_is_404(app: App, desk: httpx.Client) -> None:
    made(desk, task="other", payload=None)
    app.registry.unregister_task("other")

    refused(desk.post(f"{SCHEDULES}/mine/run-now"), 404, "unknown_task")
    assert desk.get(f"{SCHEDULES}/mine").json()["registered"] is False
    assert app.list_runs() == []


# --- looking ahead and back --------------------------------------------------------------------


def test_next_firings_tell_holidays_half_days_blackouts_and_the_end(desk: httpx.Client) -> None:
    made(
        desk,
        trigger={"session": "XNYS close"},
        end="2026-12-01T00:00:00Z",
        blackouts=[{"window": "13:00-13:30", "timezone": "America/New_York"}],
    )

    lines = desk.get(
        f"{SCHEDULES}/mine/next", params={"after": "2026-11-25T00:00:00Z", "count": 10}
    ).json()

    told = [(line["fire_at"], line["suppressed_by"]) for line in lines]
    assert told == [
        ("2026-11-25T21:00:00Z", None),
        (None, "calendar"),
        # The half day after Thanksgiving closes at 13:00, inside the blackout.
        (None, "blackout"),
        ("2026-11-30T21:00:00Z", None),
        (None, "end"),
    ]
    assert "Thanksgiving" in lines[1]["explanation"]
    assert [line["fires"] for line in lines] == [True, False, False, True, False]


def test_ticks_are_told_newest_first_with_their_runs_page_by_page(
    app: App, desk: httpx.Client, clock: StandingClock
) -> None:
    made(desk, catch_up="skip", grace_s=1, overlap="allow")
    with app.running():
        for _ in range(3):
            clock.advance(timedelta(minutes=10))
            eventually(lambda: not app.store.schedules.due(clock.micros(), clock.micros()))
        eventually(lambda: len(app.list_runs(task="scan", states=["success"])) == 3)
    clock.advance(timedelta(minutes=30))
    with app.running(worker=False):
        eventually(lambda: len(app.store.schedules.firings("mine")) > 3)

    first = desk.get(f"{SCHEDULES}/mine/ticks", params={"limit": 2}).json()
    second = desk.get(
        f"{SCHEDULES}/mine/ticks", params={"limit": 1000, "after": first["next"]}
    ).json()
    ticks = first["items"] + second["items"]
    assert [tick["fire_at"] for tick in ticks] == sorted(
        (tick["fire_at"] for tick in ticks), reverse=True
    )
    ran = [tick for tick in ticks if tick["outcome"] == "ran"]
    assert [tick["run_state"] for tick in ran][-3:] == ["success"] * 3
    skipped = [tick for tick in ticks if tick["outcome"] == "skipped"]
    assert skipped
    assert all("missed" in tick["reason"] and tick["run_state"] is None for tick in skipped)
    foreign = desk.get(f"{SCHEDULES}/own/ticks", params={"after": first["next"]})
    refused(foreign, 422, "invalid_page_token")


def test_preview_stores_nothing_and_tells_what_else_fires_in_the_minute(
    app: App, desk: httpx.Client
) -> None:
    made(desk, id="close", task="other", payload=None, trigger={"cron": "0 18 * * *"})
    made(desk, id="often", task="other", payload=None, trigger={"interval": "7h"})
    body = {"task": "scan", "trigger": {"time": "18:00:30"}, "payload": {"book": "B"}}

    preview = desk.post(f"{SCHEDULES}/preview", json=body)

    assert preview.status_code == 200
    told = preview.json()
    assert told["when"].startswith("every day at 18:00:30")
    assert len(told["next"]) == 10
    assert told["next"][0]["fire_at"] == "2026-03-02T17:00:30Z"
    clash = {(one["schedule_id"], one["other_fire_at"]) for one in told["clashes"]}
    assert ("close", "2026-03-02T17:00:00Z") in clash
    assert {which for which, _ in clash} <= {"close", "own", "often"}
    assert told["clashes_complete"] is True
    assert {row["id"] for row in app.store.schedules.list_all()} == {"own", "close", "often"}


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"trigger": {}}, "invalid_trigger"),
        ({"trigger": {"crn": "* * * * *"}}, "invalid_request"),
        ({"trigger": {"cron": "99 * * * *"}}, "invalid_trigger"),
        ({"trigger": {"cron": "0 0 30 2 *"}}, "invalid_trigger"),
        ({"trigger": {"cron": "*/5 " * 250}}, "invalid_trigger"),
        ({"trigger": {"cron": "*" * 1001}}, "invalid_request"),
        ({"trigger": {"cron": "* * * * *", "interval": "5m"}}, "invalid_trigger"),
        ({"trigger": {"interval": "5 parsecs"}}, "invalid_trigger"),
        ({"trigger": {"interval": 300}}, "invalid_request"),
        ({"trigger": {"day": True, "interval": "monthly"}}, "invalid_request"),
        ({"trigger": {"session": "XNYX close"}}, "invalid_calendar"),
        ({"trigger": {"at": "2020-01-01"}}, "invalid_trigger"),
        ({"trigger": {"at": "yesterday"}}, "invalid_request"),
        ({"trigger": {"kind": "moon"}}, "invalid_request"),
        ({"trigger": {"kind": "cron"}}, "invalid_trigger"),
        ({"trigger": {"kind": "cron", "expression": 7}}, "invalid_trigger"),
        ({"trigger": {"kind": "every", "interval": "5m", "moon": 1}}, "invalid_trigger"),
        ({"trigger": "5m"}, "invalid_request"),
        ({"task": "unheard"}, "unknown_task"),
        ({"task": ""}, "invalid_request"),
        ({"payload": {"book": 7}}, "payload_mismatch"),
        ({"payload": {"book": "B", "bok": "C"}}, "payload_mismatch"),
        ({"payload": {}}, "payload_mismatch"),
        ({"priority": 0}, "invalid_request"),
        ({"priority": 2.5}, "invalid_request"),
        ({"tags": ["x" * 201]}, "invalid_request"),
        ({"timezone": "Mars/Olympus"}, "invalid_timezone"),
        ({"timezone": "../../etc/passwd"}, "invalid_timezone"),
        ({"catch_up": "perhaps"}, "invalid_request"),
        ({"overlap": "perhaps"}, "invalid_request"),
        ({"jitter_s": -1}, "invalid_request"),
        ({"jitter": "5 parsecs"}, "invalid_trigger"),
        ({"jitter": "5s", "jitter_s": 7}, "invalid_request"),
        ({"start": "2027-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "invalid_policy"),
        ({"end": "2026-03-01T00:00:00Z"}, "invalid_trigger"),
        ({"blackouts": ["00:00-24:00"]}, "invalid_trigger"),
        ({"blackouts": [{"window": "22:00-23:00", "day": "MON"}]}, "invalid_request"),
        ({"blackouts": ["12:00-13:00"] * 51}, "invalid_request"),
        ({"id": "a/b"}, "invalid_request"),
        ({"id": ""}, "invalid_request"),
        ({"id": "x" * 201}, "invalid_request"),
        ({"id": "after:own"}, "invalid_submission"),
        ({"colour": "red"}, "invalid_request"),
    ],
)
def test_schedule_that_is_refused_says_why_and_stores_nothing(
    sqlite_address: str, clock: StandingClock, change: dict[str, Any], code: str
) -> None:
    app = make_app(sqlite_address, clock)
    declare(app)
    with signed_in(app) as desk:
        body = {**BODY, "payload": {"book": "B"}, **change}
        status = 404 if code == "unknown_task" else 422
        problem = refused(desk.post(SCHEDULES, json=body), status, code)
        if code == "invalid_trigger":
            assert {"kind", "given", "expected"} <= set(problem)
        assert [row["id"] for row in app.store.schedules.list_all()] == ["own"]
        assert app.audit.records(action="schedule.created", limit=5)[1:] == []
    app.stop(0)


@pytest.mark.parametrize(
    ("which", "status"),
    [
        ("nothing", 404),
        ("after:own", 404),
        ("..%2F..%2Fetc%2Fpasswd", 404),
        ("%3Cscript%3E", 404),
        ("'%20OR%201=1--", 404),
        ("x" * 501, 422),
        ("a%00b", 422),
        ("a%FFb", 422),
    ],
)
def test_id_that_is_none_is_refused_on_every_route(
    desk: httpx.Client, which: str, status: int
) -> None:
    path = f"{SCHEDULES}/{which}"
    etag = {"If-Match": "0"}
    answers = [
        desk.get(path),
        desk.get(f"{path}/next"),
        desk.get(f"{path}/ticks"),
        desk.put(path, json={**BODY, "id": None}, headers=etag),
        desk.delete(path),
        desk.post(f"{path}/pause", json={"reason": "r"}),
        desk.post(f"{path}/resume"),
        desk.post(f"{path}/run-now"),
    ]
    assert [answer.status_code for answer in answers] == [status] * len(answers)


# --- another process ---------------------------------------------------------------------------


def test_running_scheduler_of_another_process_notices_what_the_api_changes(
    store_address: str,
) -> None:
    """Two apps share nothing but the store, as two processes do; the clock is the machine's."""
    firing = make_app(store_address)
    declare(firing)
    serving = make_app(store_address)
    declare(serving)
    with firing.running(), signed_in(serving) as desk:
        schedule = made(desk, task="other", payload=None, trigger={"interval": "250ms"})
        eventually(lambda: firing.list_runs(task="other"), "the first firing")
        etag = {"If-Match": desk.get(f"{SCHEDULES}/mine").headers["etag"]}
        body = {"task": "own", "trigger": schedule["trigger"]}
        assert desk.put(f"{SCHEDULES}/mine", json=body, headers=etag).status_code == 200
        eventually(lambda: firing.list_runs(task="own"), "a firing by the new definition")
        desk.post(f"{SCHEDULES}/mine/pause", json={"reason": "enough"})
        count = len(firing.list_runs(task="own"))
        desk.post(f"{SCHEDULES}/mine/resume")
        eventually(lambda: len(firing.list_runs(task="own")) > count + 1, "firings go on")
        assert desk.delete(f"{SCHEDULES}/mine").status_code == 204
    serving.stop(0)
