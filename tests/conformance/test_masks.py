"""Masked payload fields, as each store keeps them."""

from __future__ import annotations

from typing import Any

from closingbell.core.mask import MASK
from closingbell.store.codec import from_json, to_json
from tests.conformance.desk import Desk


def schedule(desk: Desk, secret: str, size: int = 1) -> None:
    """Store a schedule whose payload has a secret."""
    payload = {"key": secret, "size": size}
    desk.store.schedules.put("s", "risk_scan", to_json({"payload": payload}), "app", None, desk.now)


def shown(desk: Desk, target: str) -> list[tuple[str, Any, Any]]:
    """Action, before and after of a target's audit records, the newest first."""
    records = desk.store.audit.records(target=target)
    return [(r.action, from_json(r.before_json), from_json(r.after_json)) for r in records]


def test_masks_are_kept_changed_and_taken_away(desk: Desk) -> None:
    masks = desk.store.masks
    masks.put_all({"risk_scan": ("key", "account.secret"), "idle": ()})
    assert masks.all() == {"risk_scan": ("key", "account.secret")}
    masks.put_all({"idle": ("a",)})
    assert masks.all() == {"idle": ("a",), "risk_scan": ("key", "account.secret")}
    masks.put_all({"risk_scan": ()})
    assert masks.all() == {"idle": ("a",)}


def test_audit_of_a_schedule_shows_that_a_secret_changed_and_not_what_it_is(desk: Desk) -> None:
    desk.store.masks.put_all({"risk_scan": ("key",)})
    schedule(desk, "hunter2")
    schedule(desk, "hunter3")
    desk.store.schedules.remove("s")
    told = shown(desk, "s")
    assert [action for action, _, _ in told] == [
        "schedule.removed",
        "schedule.changed",
        "schedule.created",
    ]
    assert "hunter" not in repr(told)
    assert told[1][1] == told[1][2] == {"payload": {"key": MASK, "size": 1}}
    assert desk.store.audit.verify().ok


def test_audit_of_an_event_trigger_shows_no_masked_field(desk: Desk) -> None:
    desk.store.masks.put_all({"risk_scan": ("key",)})
    for secret in ("hunter2", "hunter3"):
        payload = to_json({"key": secret})
        desk.store.events.put_trigger(
            "e", "breach", "risk_scan", None, payload, None, "app", desk.now
        )
    desk.store.events.remove_trigger("e")
    told = shown(desk, "e")
    assert len(told) == 3
    assert "hunter" not in repr(told)
    assert told[0][1]["payload"] == told[2][2]["payload"] == {"key": MASK}


def test_event_is_masked_by_the_tasks_that_it_starts(desk: Desk) -> None:
    desk.store.masks.put_all({"risk_scan": ("key",), "idle": ("other",)})
    for task in ("risk_scan", "idle", "open"):
        desk.store.events.put_trigger(task, "breach", task, None, "{}", None, "app", desk.now)
    assert {k: sorted(v) for k, v in desk.store.masks.by_event().items()} == {
        "breach": ["key", "other"]
    }
