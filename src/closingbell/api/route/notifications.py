"""Notifications and channels: what was told to whom, and whether a channel works.

Channels are declared in code and in the settings file, never here.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, PathText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.role import Role
from closingbell.wire.notification import (
    ChannelInfo,
    ChannelTest,
    NotificationInfo,
    NotificationState,
    notification_info,
)
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(tags=["notifications"])

_App = Annotated[App, Depends(served_app)]


@router.get(
    "/notifications",
    operation_id="list_notifications",
    summary="Messages, the newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_notifications(
    app: _App,
    state: Annotated[NotificationState | None, Query(description="only those")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[NotificationInfo]:
    """List a page of what was told, or will be."""
    query = {"list": "notifications", "state": state}
    position = read_page_token(after, query, (int, str))
    found = app.store.notifications.page(
        state=state,
        before=None if position is None else (position[0], position[1]),
        limit=limit + 1,
    )
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=[notification_info(one) for one in shown],
        next=make_page_token(query, (shown[-1].created_at, shown[-1].id)) if more else None,
    )


@router.get(
    "/channels",
    operation_id="list_channels",
    summary="The ways to reach people that this service declares",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def list_channels(app: _App) -> list[ChannelInfo]:
    """List the channels, without their secrets."""
    return [ChannelInfo(name=one.name, kind=one.kind, about=one.describe()) for one in app.channels]


@router.post(
    "/channels/{name}/test",
    operation_id="test_channel",
    summary="Send a test message at once",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 413, 415, 422),
)
def try_channel(name: PathText, app: _App, _request: Because | None = None) -> ChannelTest:
    """Send a message that says it is a test; the answer says whether it was taken."""
    problem = app.machinery.alert_watch.try_channel(name)
    return ChannelTest(channel=name, sent=problem is None, error=problem)
