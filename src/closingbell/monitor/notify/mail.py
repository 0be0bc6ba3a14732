"""Mail: messages through a mail server of yours."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from closingbell.core.error import ChannelError, DeliveryFailed, SettingError
from closingbell.core.notification import Notification
from closingbell.monitor.notify.smtp_sender import SmtpSender

_OPTIONS = ("host", "port", "from", "to", "user", "password", "protection", "timeout_s")
#: Answers after which the same message need not be sent again.
_FOREVER = (550, 551, 552, 553, 554)


class Mail:
    """Sends messages through SMTP; the `Message-ID` is made from the message's own id."""

    kind = "smtp"

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """Remember where to send; nothing is connected.

        Args:
            name: of the channel.
            options: host, from and to; and if need be port (587), user, password, protection
                ("starttls", "tls" or "none") and timeout_s.

        Raises:
            ChannelError: an option is impossible.
        """
        for option in options:
            if option not in _OPTIONS:
                raise ChannelError(name, f"smtp option {option!r}", "one of " + ", ".join(_OPTIONS))
        for option in ("host", "from", "to"):
            if not options.get(option):
                raise ChannelError(name, "smtp", f"a table with {option!r} in it")
        to = options["to"]
        self._to: Sequence[str] = [to] if isinstance(to, str) else list(to)
        self._host, self._from = str(options["host"]), str(options["from"])
        if any("\n" in address or "@" not in address for address in (*self._to, self._from)):
            raise ChannelError(name, "smtp", "addresses such as desk@example.com")
        try:
            self._sender = SmtpSender(
                self._host,
                int(options.get("port", 587)),
                sender=self._from,
                user=options.get("user"),
                password=options.get("password"),
                protection=str(options.get("protection", "starttls")),
                timeout_s=float(options.get("timeout_s", 10.0)),
            )
        except SettingError as problem:
            raise ChannelError(name, problem.setting, problem.expected) from problem
        except (TypeError, ValueError):
            raise ChannelError(name, "smtp", "numbers for port and timeout_s") from None
        self.name = name

    def __repr__(self) -> str:
        return f"Mail({self.name!r}, {self._host})"

    def describe(self) -> dict[str, Any]:
        return {"host": self._host, "from": self._from, "to": list(self._to)}

    def send(self, message: Notification, at: datetime) -> None:
        try:
            self._sender.send(
                to=self._to,
                subject=message.body["subject"],
                text=message.body["text"],
                html=None,
                id=message.id,
                at=at,
            )
        except smtplib.SMTPRecipientsRefused as problem:
            codes = {code for code, _ in problem.recipients.values()}
            told = "the server refuses " + ", ".join(problem.recipients)
            raise DeliveryFailed(self.name, told, not codes <= set(_FOREVER)) from problem
        except smtplib.SMTPException as problem:
            told = f"the server answered {getattr(problem, 'smtp_code', type(problem).__name__)}"
            raise DeliveryFailed(self.name, told, retryable=True) from problem
        except OSError as problem:
            told = f"{self._host} cannot be reached: {problem}"
            raise DeliveryFailed(self.name, told, retryable=True) from problem
