"""Messages for people: what happened, since when, how often, and what to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from closingbell.core.alert import Alert
from closingbell.core.alert_kind import KINDS
from closingbell.core.clock import from_micros
from closingbell.core.notification import Occasion

_SUBJECT_LENGTH = 200
#: Of an error, what may quote values that only this service may show.
_LEFT_OUT = ("traceback", "bases")
_WORDS = {
    Occasion.RAISED: "",
    Occasion.REPEATED: "still open: ",
    Occasion.ESCALATED: "not acknowledged: ",
    Occasion.CLEARED: "cleared: ",
    Occasion.TEST: "test: ",
}


def compose(alert: Alert, occasion: Occasion, public_url: str | None) -> dict[str, Any]:
    """Return the body of a notification, as JSON values.

    Args:
        alert: as it stands.
        occasion: why somebody is told.
        public_url: where people reach this service; without it there are no links.
    """
    headline = f"[{alert.severity}] {_WORDS[occasion]}{alert.message}"
    facts = {
        "type": f"alert.{occasion}",
        "severity": alert.severity,
        "alert": {
            "id": alert.id,
            "type": alert.type,
            "task": alert.task,
            "run_id": alert.run_id,
            "rule_id": alert.rule_id,
            "message": alert.message,
            "count": alert.count,
            "raised_at": _at(alert.raised_at),
            "last_at": _at(alert.last_at),
            "data": {key: value for key, value in alert.data.items() if key not in _LEFT_OUT},
        },
        "links": _links(alert, public_url),
    }
    return {
        "subject": " ".join(headline.split())[:_SUBJECT_LENGTH],
        "text": "\n".join(_lines(alert, occasion, facts["links"])),
        **facts,
    }


def _lines(alert: Alert, occasion: Occasion, links: Any) -> list[str]:
    lines = [alert.message, ""]
    if alert.task is not None:
        lines.append(f"Task:     {alert.task}")
    if alert.run_id is not None:
        lines.append(f"Run:      {alert.run_id}")
    if alert.type in ("task_failure", "poison_run") and alert.data.get("message"):
        lines.append(f"Error:    {alert.data.get('type')}: {alert.data['message']}")
    lines += [f"Kind:     {alert.type}", f"Since:    {_at(alert.raised_at)}"]
    if alert.count > 1:
        lines.append(f"Happened: {alert.count} times, last at {_at(alert.last_at)}")
    if alert.cleared_at is not None:
        who = "its cause is gone" if alert.cleared_by == "closingbell" else f"by {alert.cleared_by}"
        lines.append(f"Cleared:  {_at(alert.cleared_at)}, {who}")
    lines += [f"See:      {address}" for address in links.values()]
    if occasion not in (Occasion.CLEARED, Occasion.TEST):
        advice = KINDS[alert.type].advice if alert.type in KINDS else "Read the message."
        lines += [
            "",
            f"What to do: {advice}",
            f"Then: closingbell alert ack {alert.id}",
        ]
    return lines


def _links(alert: Alert, public_url: str | None) -> dict[str, str]:
    if public_url is None:
        return {}
    root = public_url.rstrip("/")
    links = {"alert": f"{root}/alerts/{quote(alert.id, safe='')}"}
    if alert.run_id is not None:
        links["run"] = f"{root}/runs/{quote(alert.run_id, safe='')}"
    return links


def _at(micros: int) -> str:
    return from_micros(micros).isoformat(timespec="seconds").replace("+00:00", "Z")
