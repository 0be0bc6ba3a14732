"""AppriseChannel: any of the services that the library apprise knows, by an address of its kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from closingbell.core.error import ChannelError, DeliveryFailed
from closingbell.core.notification import Notification

_TYPES = {"INFO": "info", "WARNING": "warning", "ERROR": "failure", "CRITICAL": "failure"}
_EXTRA = "the extra: pip install 'closingbell[notify]'"


class AppriseChannel:
    """Sends messages through apprise, which is loaded with the first one."""

    kind = "apprise"

    def __init__(self, name: str, url: str, *, timeout_s: float = 10.0) -> None:
        """Remember where to send.

        Args:
            name: of the channel.
            url: as apprise reads it, such as "slack://..." or "json://host".
            timeout_s: seconds to wait for the service.

        Raises:
            ChannelError: it is no address.
        """
        scheme, colon, rest = url.partition("://")
        if not colon or not scheme.isalnum() or not rest:
            raise ChannelError(name, "apprise", "an address such as 'slack://...'")
        self.name = name
        self._url = url
        self._scheme = scheme
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name!r}, {self._scheme}://...)"

    def describe(self) -> dict[str, Any]:
        return {"address": f"{self._scheme}://..."}

    def send(self, message: Notification, at: datetime) -> None:
        try:
            import apprise
        except ImportError:
            raise DeliveryFailed(self.name, f"it needs {_EXTRA}", retryable=True) from None
        service = apprise.Apprise()
        if not service.add(self._url):
            raise DeliveryFailed(
                self.name, f"apprise does not know what {self._scheme}://... means", retryable=True
            )
        body = message.body
        taken = service.notify(
            title=body["subject"],
            body=f"{body['text']}\n\n{message.id}",
            notify_type=_TYPES.get(body.get("severity", ""), "info"),
            timeout=self._timeout_s,
        )
        if not taken:
            raise DeliveryFailed(
                self.name, f"the service behind {self._scheme}:// did not take it", retryable=True
            )
