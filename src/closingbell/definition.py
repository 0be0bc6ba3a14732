"""Schedules as JSON, and back: what the store keeps of a trigger and its policies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec

from closingbell.core.clock import from_micros
from closingbell.core.schedule import Schedule, SchedulePolicy
from closingbell.core.trigger import Trigger

_encode = msgspec.json.Encoder(order="deterministic").encode
_DURATIONS = ("catch_up_window", "grace", "jitter")


def write_definition(
    trigger: Trigger,
    policy: SchedulePolicy,
    payload: Mapping[str, Any],
    priority: int | None,
    tags: tuple[str, ...],
) -> str:
    """Return canonical JSON text: equal schedules have equal text."""
    return _encode(
        {
            "trigger": trigger.to_dict(),
            "policy": _policy_to_dict(policy),
            "payload": dict(payload),
            "priority": priority,
            "tags": tags,
        }
    ).decode()


def definition_id(task: str, definition: str) -> str:
    """Return the id of an unnamed schedule: the same schedule has the same one."""
    return f"{task}/{hashlib.blake2b(definition.encode(), digest_size=4).hexdigest()}"


def read_schedule(row: Mapping[str, Any]) -> Schedule:
    """Return the schedule of a stored row.

    Raises:
        DefinitionError: the stored definition cannot be read by this version.
    """
    trigger, policy, payload, priority, tags = _read_definition(row["definition"])

    def instant(name: str) -> Any:
        return None if row[name] is None else from_micros(row[name])

    return Schedule(
        id=row["id"],
        task=row["task"],
        trigger=trigger,
        payload=payload,
        policy=policy,
        priority=priority,
        tags=tags,
        next_fire_at=instant("next_fire_at"),
        last_fire_at=instant("last_fire_at"),
        paused_at=instant("paused_at"),
        paused_reason=row["paused_reason"],
        paused_until=instant("paused_until"),
        source=row["source"],
    )


@lru_cache(maxsize=20_000)
def _read_definition(
    text: str,
) -> tuple[Trigger, SchedulePolicy, dict[str, Any], int | None, tuple[str, ...]]:
    from closingbell.triggers import trigger_from_dict

    stored = msgspec.json.decode(text)
    return (
        trigger_from_dict(stored["trigger"]),
        _policy_from_dict(stored["policy"]),
        stored["payload"],
        stored["priority"],
        tuple(stored["tags"]),
    )


def _policy_to_dict(policy: SchedulePolicy) -> dict[str, Any]:
    stored: dict[str, Any] = {"catch_up": policy.catch_up, "overlap": policy.overlap}
    for name in _DURATIONS:
        stored[f"{name}_s"] = getattr(policy, name).total_seconds()
    for name in ("start", "end"):
        value = getattr(policy, name)
        stored[name] = None if value is None else value.isoformat()
    stored["blackouts"] = [window.to_dict() for window in policy.blackouts]
    return stored


def _policy_from_dict(stored: Mapping[str, Any]) -> SchedulePolicy:
    from datetime import datetime

    from closingbell.triggers import blackout_from_dict

    values: dict[str, Any] = {name: timedelta(seconds=stored[f"{name}_s"]) for name in _DURATIONS}
    for name in ("start", "end"):
        if stored[name] is not None:
            values[name] = datetime.fromisoformat(stored[name])
    return SchedulePolicy(
        catch_up=stored["catch_up"],
        overlap=stored["overlap"],
        blackouts=tuple(blackout_from_dict(window) for window in stored["blackouts"]),
        **values,
    )
