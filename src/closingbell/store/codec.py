"""JSON and rows: the one place where the store's text becomes nouns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from closingbell.core.clock import from_micros
from closingbell.core.run import Attempt, Claim, Run, RunState

_encoder = msgspec.json.Encoder()


def to_json(value: Any) -> str:
    """Write JSON text; half a surrogate pair, as in a file name that is no text, becomes '?'."""
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        return _encoder.encode(_as_text(value)).decode()


def storable(text: str) -> str:
    """Return text that both databases can keep: without NUL and without half surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _as_text(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_as_text(key): _as_text(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_text(item) for item in value]
    return value


def from_json(text: str | None) -> Any:
    """Read JSON text; None stays None."""
    return None if text is None else msgspec.json.decode(text)


def instant(micros: int | None) -> datetime | None:
    """Return the datetime of a stored time; None stays None."""
    return None if micros is None else from_micros(micros)


#: Reads the claims that a store returns as one JSON array of arrays.
read_claims = msgspec.json.Decoder(list[Claim]).decode

#: Reads, for each executor, priority, due_at and id of the last run that was claimed.
read_ends = msgspec.json.Decoder(list[tuple[str, int, int, str]]).decode


def read_run(row: Mapping[Any, Any], attempts: tuple[Attempt, ...] = ()) -> Run:
    """Return the run of a row of the `runs` table."""
    session = row["session_date"]
    return Run(
        id=row["id"],
        task=row["task"],
        state=RunState(row["state"]),
        priority=row["priority"],
        executor=row["executor"],
        payload=from_json(row["payload"]),
        tags=tuple(from_json(row["tags"])),
        key=row["key"],
        due_at=from_micros(row["due_at"]),
        fire_at=instant(row["fire_at"]),
        session_date=None if session is None else date.fromisoformat(session),
        schedule_id=row["schedule_id"],
        cause=row["cause"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        fence=row["fence"],
        worker_id=row["worker_id"],
        submitted_at=from_micros(row["submitted_at"]),
        started_at=instant(row["started_at"]),
        finished_at=instant(row["finished_at"]),
        result=from_json(row["result"]),
        error=from_json(row["error"]),
        reason=row["reason"],
        lane=row["lane"],
        cancel_requested_at=instant(row["cancel_requested_at"]),
        event_id=row["event_id"],
        hold=row["hold"],
        batch_id=row["batch_id"],
        requested_by=row["requested_by"],
        attempts=attempts,
    )


def read_attempt(row: Mapping[Any, Any]) -> Attempt:
    """Return the attempt of a row of the `attempts` table."""
    return Attempt(
        number=row["number"],
        outcome=row["outcome"],
        fence=row["fence"],
        worker_id=row["worker_id"],
        started_at=instant(row["started_at"]),
        finished_at=instant(row["finished_at"]),
        error=from_json(row["error"]),
    )
