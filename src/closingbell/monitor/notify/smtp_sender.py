"""SmtpSender: hands a message to a mail server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from closingbell.core.error import SettingError

#: How a connection is protected: STARTTLS, TLS from the first byte, or not at all.
PROTECTIONS = ("starttls", "tls", "none")


class Sender(Protocol):
    """Sends one message; a sender of your own may use whatever service you have."""

    def send(
        self, *, to: Sequence[str], subject: str, text: str, html: str | None, id: str, at: datetime
    ) -> None:
        """Send a message, or raise.

        Args:
            to: addresses.
            subject: one line.
            text: the message.
            html: the same for readers that show it; None = text only.
            id: of the run. Every attempt of a run has the same one, so that a receiver can
                tell a message that was sent twice.
            at: when it was made, aware.
        """
        ...


class SmtpSender:
    """Sends messages through an SMTP server.

    The connection is made for each message, and the server's certificate is checked.
    """

    def __init__(
        self,
        host: str,
        port: int = 587,
        *,
        sender: str,
        user: str | None = None,
        password: str | None = None,
        protection: str = "starttls",
        timeout_s: float = 30.0,
    ) -> None:
        """Remember where to send; nothing is connected.

        Args:
            host: the server's name.
            port: 587 for STARTTLS, 465 for TLS, 25 for none.
            sender: the address that messages come from.
            user: None = no log-in.
            password: of the user; read it from the environment, not from a script.
            protection: "starttls", "tls" or "none".
            timeout_s: seconds to wait for the server's answers.

        Raises:
            SettingError: the protection is none of these, or a password would go in the clear.
        """
        if protection not in PROTECTIONS:
            raise SettingError("protection", protection, f"one of {', '.join(PROTECTIONS)}")
        if user is not None and protection == "none":
            expected = "'starttls' or 'tls', since a password goes with it"
            raise SettingError("protection", protection, expected)
        self._host, self._port = host, port
        self._sender = sender
        self._user, self._password = user, password
        self._protection = protection
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"SmtpSender({self._host}:{self._port}, sender={self._sender!r})"

    def send(
        self, *, to: Sequence[str], subject: str, text: str, html: str | None, id: str, at: datetime
    ) -> None:
        """Send a message.

        Raises:
            OSError: the server cannot be reached.
            smtplib.SMTPException: it refuses the message or the log-in, or part of the addresses.
        """
        import smtplib
        import ssl
        from email.message import EmailMessage
        from email.utils import format_datetime

        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, ", ".join(to), subject
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{id}@{self._sender.rpartition('@')[2] or 'localhost'}>"
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        where = (self._host, self._port)
        server: smtplib.SMTP
        if self._protection == "tls":
            context = ssl.create_default_context()
            server = smtplib.SMTP_SSL(*where, timeout=self._timeout_s, context=context)
        else:
            server = smtplib.SMTP(*where, timeout=self._timeout_s)
        with server:
            if self._protection == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self._user is not None:
                server.login(self._user, self._password or "")
            refused = server.send_message(message, to_addrs=list(to))
        if refused:
            # smtplib raises only when every address is refused.
            raise smtplib.SMTPRecipientsRefused(refused)
