"""Channel: a way to reach people."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from closingbell.core.notification import Notification


class Channel(Protocol):
    """Sends messages one way."""

    @property
    def name(self) -> str:
        """As rules name it."""
        ...

    @property
    def kind(self) -> str:
        """`webhook`, `smtp`, `apprise` or `log`."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return where it leads, as JSON values, without any secret."""
        ...

    def send(self, message: Notification, at: datetime) -> None:
        """Send a message, and return when the receiver has taken it.

        Args:
            message: its id is the same each time that it is sent.
            at: the desk's time.

        Raises:
            DeliveryFailed: it was not taken.
        """
        ...
