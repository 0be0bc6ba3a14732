"""Alerts of a service, their rules, and who is told."""

from __future__ import annotations

from collections.abc import Iterator

from closingbell.client.request import Request, body, path, query
from closingbell.client.synchronous.transport import Transport
from closingbell.wire.alert import AlertDetail, AlertInfo
from closingbell.wire.alert_rule import AlertRuleInfo, AlertRuleRequest, AlertRuleTest
from closingbell.wire.notification import ChannelInfo, ChannelTest, NotificationInfo
from closingbell.wire.page import Page
from closingbell.wire.scheduler import ClearedAlerts


class Alerts:
    """What a person must see, and who is told."""

    def __init__(self, transport: Transport) -> None:
        """Make it; use `client.alerts`."""
        self._transport = transport

    def all(
        self,
        *,
        type: str | None = None,
        severity: str | None = None,
        state: str | None = None,
        task: str | None = None,
    ) -> Iterator[AlertInfo]:
        """Yield alerts, the newest first.

        Args:
            type: only of this kind.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL".
            state: "open", "acknowledged" or "cleared".
            task: only of this task.
        """
        values = {"type": type, "severity": severity, "state": state, "task": task}
        return self._transport.walk(("alerts",), AlertInfo, values)

    def get(self, alert_id: str) -> AlertDetail:
        """Return one alert with what was told of it."""
        return self._transport.get(("alerts", alert_id), AlertDetail)

    def acknowledge(self, alert_id: str, reason: str | None = None) -> AlertDetail:
        """Say that somebody looks after it: it is neither repeated nor escalated any more."""
        values = {"reason": reason}
        return self._transport.post(("alerts", alert_id, "acknowledge"), AlertDetail, values)

    def clear_all(self, type: str | None = None) -> int:
        """Say that all that is open is over, or all of one kind; return how many were cleared."""
        pairs = query({"alert_type": type})
        request = Request("DELETE", path("scheduler", "alerts", "clear"), pairs)
        return (self._transport.ask(request, ClearedAlerts)).cleared_count

    def clear(self, alert_id: str, reason: str | None = None) -> AlertDetail:
        """Say that it is over."""
        values = {"reason": reason}
        return self._transport.post(("alerts", alert_id, "clear"), AlertDetail, values)

    def rules(self) -> list[AlertRuleInfo]:
        """Return the rules."""
        page = self._transport.get(("alert-rules",), Page[AlertRuleInfo])
        return page.items

    def rule(self, rule_id: str) -> AlertRuleInfo:
        """Return one rule; its `version` is what a change of it must name."""
        return self._transport.get(("alert-rules", rule_id), AlertRuleInfo)

    def create_rule(self, rule: AlertRuleRequest) -> AlertRuleInfo:
        """Make a rule."""
        return self._transport.post(("alert-rules",), AlertRuleInfo, rule)

    def change_rule(self, rule_id: str, rule: AlertRuleRequest, version: int) -> AlertRuleInfo:
        """Change a rule as a whole; another version meanwhile is a `VersionMismatch`."""
        headers = {"If-Match": f'"{version}"'}
        request = Request("PUT", path("alert-rules", rule_id), body=body(rule), headers=headers)
        return self._transport.ask(request, AlertRuleInfo)

    def remove_rule(self, rule_id: str, reason: str | None = None) -> None:
        """Remove a rule that was made by hand."""
        content = None if reason is None else {"reason": reason}
        self._transport.send(Request("DELETE", path("alert-rules", rule_id), body=content))

    def try_rule(self, rule_id: str) -> AlertRuleTest:
        """Return what a rule sees at present, and send a test to its channels."""
        return self._transport.post(("alert-rules", rule_id, "test"), AlertRuleTest, {})

    def channels(self) -> list[ChannelInfo]:
        """Return how people are reached."""
        return self._transport.get(("channels",), list[ChannelInfo])

    def try_channel(self, name: str) -> ChannelTest:
        """Send a test message."""
        return self._transport.post(("channels", name, "test"), ChannelTest, {})

    def notifications(self, state: str | None = None) -> Iterator[NotificationInfo]:
        """Yield messages, the newest first; only those that are "pending", "sent", ..."""
        return self._transport.walk(("notifications",), NotificationInfo, {"state": state})
