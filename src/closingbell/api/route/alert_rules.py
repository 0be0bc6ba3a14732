"""Rules of alerts: what is watched, and who is told."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response

from closingbell.api.application import served_app
from closingbell.api.location import location
from closingbell.api.parameter import PathText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.alert_rule import read_alert_rule
from closingbell.core.error import InvalidRequest, VersionMismatch, VersionMissing
from closingbell.core.role import Role
from closingbell.store.alert_rules import StoredRule
from closingbell.wire.alert_rule import (
    AlertRuleInfo,
    AlertRuleRequest,
    AlertRuleTest,
    RuleFinding,
)
from closingbell.wire.notification import ChannelTest
from closingbell.wire.page import Page
from closingbell.wire.text import Because

router = APIRouter(prefix="/alert-rules", tags=["alert rules"])

_App = Annotated[App, Depends(served_app)]
_ETAG = {"ETag": {"description": "its version", "schema": {"type": "string"}}}
_IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=100, description="the ETag of what you read"),
]


@router.get(
    "",
    operation_id="list_alert_rules",
    summary="All rules, by id",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def list_alert_rules(app: _App) -> Page[AlertRuleInfo]:
    """List the rules that code declares, that people made, and that every store has."""
    return Page(items=[_info(stored) for stored in app.store.alert_rules.all()])


@router.post(
    "",
    status_code=201,
    operation_id="create_alert_rule",
    summary="Make a rule",
    dependencies=[needs(Role.ADMIN)],
    responses={
        **problems(409, 413, 415, 422),
        201: {"headers": {**_ETAG, "Location": {"schema": {"type": "string"}}}},
    },
)
def create_alert_rule(request: AlertRuleRequest, app: _App, response: Response) -> AlertRuleInfo:
    """Store a rule; it is in force within seconds."""
    rule = read_alert_rule(request.fields(None), app.settings.timezone)
    stored = app.store.alert_rules.create(rule, app.clock.micros(), request.reason)
    response.headers["Location"] = location("alert-rules", rule.id)
    return _told(stored, response)


@router.get(
    "/{rule_id}",
    operation_id="get_alert_rule",
    summary="One rule",
    dependencies=[needs(Role.ADMIN)],
    responses={**problems(404, 422), 200: {"headers": _ETAG}},
)
def get_alert_rule(rule_id: PathText, app: _App, response: Response) -> AlertRuleInfo:
    """Return a rule; its ETag is what a change of it must send as If-Match."""
    return _told(app.store.alert_rules.get(rule_id), response)


@router.put(
    "/{rule_id}",
    operation_id="change_alert_rule",
    summary="Give a rule other values, or disable it",
    dependencies=[needs(Role.ADMIN)],
    responses={**problems(404, 409, 412, 413, 415, 422, 428), 200: {"headers": _ETAG}},
)
def change_alert_rule(
    rule_id: PathText,
    request: AlertRuleRequest,
    app: _App,
    response: Response,
    if_match: _IfMatch = None,
) -> AlertRuleInfo:
    """Change a rule as a whole; of one that code declares only whether it is in force."""
    stored = app.store.alert_rules.get(rule_id)
    if if_match is None:
        raise VersionMissing("alert rule", rule_id)
    if request.id not in (None, rule_id):
        raise InvalidRequest([("body.id", "expected the id of the path, or none")])
    given = if_match.strip().removeprefix("W/").strip('"')
    if given != str(stored.version):
        raise VersionMismatch("alert rule", rule_id, given, str(stored.version))
    rule = read_alert_rule(request.fields(rule_id), app.settings.timezone)
    changed = app.store.alert_rules.change(
        rule, app.clock.micros(), version=stored.version, reason=request.reason
    )
    app.store.alerts.look_again(rule_id)
    return _told(changed, response)


@router.delete(
    "/{rule_id}",
    status_code=204,
    operation_id="delete_alert_rule",
    summary="Remove a rule that nobody declares",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 409, 413, 415, 422),
)
def delete_alert_rule(rule_id: PathText, app: _App, request: Because | None = None) -> None:
    """Remove a rule; its open alerts are cleared."""
    reason = None if request is None else request.reason
    app.store.alert_rules.remove(rule_id, tuple(app.declared_alert_rules), reason)


@router.post(
    "/{rule_id}/test",
    operation_id="test_alert_rule",
    summary="What a rule sees at present, and whether its channels work",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 413, 415, 422),
)
def try_alert_rule(rule_id: PathText, app: _App, _request: Because | None = None) -> AlertRuleTest:
    """Look once, raise nothing, and send a test message to each channel of the rule."""
    rule, watch = app.store.alert_rules.get(rule_id).rule, app.machinery.alert_watch
    found = watch.findings([rule], app.clock.micros())
    names = rule.told((*rule.channels, *rule.escalate_to), app.channels.names)
    known = [name for name in names if name in app.channels.names]
    tried = {name: watch.try_channel(name) for name in known}
    unknown = dict.fromkeys(set(names) - set(known), "this process declares no such channel")
    return AlertRuleTest(
        findings=[
            RuleFinding(message=f.message, task=f.task, run_id=f.run_id, data=f.data) for f in found
        ],
        channels=[
            ChannelTest(channel=name, sent=problem is None, error=problem)
            for name, problem in sorted({**tried, **unknown}.items())
        ],
    )


def _told(stored: StoredRule, response: Response) -> AlertRuleInfo:
    response.headers["ETag"] = f'"{stored.version}"'
    return _info(stored)


def _info(stored: StoredRule) -> AlertRuleInfo:
    return AlertRuleInfo(**stored.to_dict())
