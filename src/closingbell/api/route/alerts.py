"""Alerts: listed, acknowledged, cleared."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, PathText, QueryText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.alert import AlertState
from closingbell.core.role import Role
from closingbell.wire.alert import AlertDetail, AlertInfo, alert_values
from closingbell.wire.notification import notification_info
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(prefix="/alerts", tags=["alerts"])

_App = Annotated[App, Depends(served_app)]
_Severity = Literal["INFO", "WARNING", "ERROR", "CRITICAL"]


@router.get(
    "",
    operation_id="list_alerts",
    summary="Alerts, the newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_alerts(
    app: _App,
    type: Annotated[QueryText, Query(description="only of this kind")] = None,
    severity: Annotated[_Severity | None, Query(description="only so urgent ones")] = None,
    state: Annotated[AlertState | None, Query(description="only those that stand so")] = None,
    task: Annotated[QueryText, Query(description="only of this task")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[AlertInfo]:
    """List a page of alerts, also those that were cleared, until they are pruned."""
    query = {"list": "alerts", "of": [type, severity, state, task]}
    position = read_page_token(after, query, (int, str))
    found = app.store.alerts.page(
        kind=type,
        severity=severity,
        state=state,
        task=task,
        before=None if position is None else (position[0], position[1]),
        limit=limit + 1,
    )
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=[AlertInfo(**alert_values(alert)) for alert in shown],
        next=make_page_token(query, (shown[-1].raised_at, shown[-1].id)) if more else None,
    )


@router.get(
    "/{alert_id}",
    operation_id="get_alert",
    summary="One alert, with its messages",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_alert(alert_id: PathText, app: _App) -> AlertDetail:
    """Return an alert with what was, or will be, told of it."""
    return _told(alert_id, app)


@router.post(
    "/{alert_id}/acknowledge",
    operation_id="acknowledge_alert",
    summary="Say that you look after it: it is told no more",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 409, 413, 415, 422),
)
def acknowledge_alert(alert_id: PathText, app: _App, request: Because | None = None) -> AlertDetail:
    """Acknowledge an alert; it neither repeats nor escalates any more."""
    reason = None if request is None else request.reason
    app.store.alerts.acknowledge(alert_id, app.clock.micros(), reason)
    return _told(alert_id, app)


@router.post(
    "/{alert_id}/clear",
    operation_id="clear_alert",
    summary="Say that it is over",
    dependencies=[needs(Role.OPERATOR)],
    responses=problems(404, 413, 415, 422),
)
def clear_alert(alert_id: PathText, app: _App, request: Because | None = None) -> AlertDetail:
    """Clear an alert; whoever was told of it is told that it is over."""
    reason = None if request is None else request.reason
    app.store.alerts.clear_one(alert_id, app.clock.micros(), reason)
    return _told(alert_id, app)


def _told(alert_id: str, app: App) -> AlertDetail:
    alert = app.store.alerts.get(alert_id)
    messages = app.store.notifications.of_alert(alert_id)
    return AlertDetail(
        **alert_values(alert), notifications=[notification_info(m) for m in messages]
    )
