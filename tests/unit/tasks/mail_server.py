"""A mail server on the loopback: it takes messages, and speaks enough SMTP to be refused by."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast


class MailServer:
    """Takes every message but those to addresses that begin with "nobody".

    Attributes:
        messages: what was sent, with the addresses of the envelope.
        logins: user and password of every log-in.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.messages: list[tuple[list[str], EmailMessage]] = []
        self.logins: list[tuple[str, str]] = []
        self.context = context
        outer = self

        class Handler(_Session):
            owner = outer

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> MailServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Session(socketserver.StreamRequestHandler):
    owner: MailServer

    def handle(self) -> None:
        self.to: list[str] = []
        self.encrypted = False
        self.secure: ssl.SSLSocket | None = None
        self._say("220 loopback")
        while line := self.rfile.readline():
            command, _, rest = line.decode().strip().partition(" ")
            match command.upper():
                case "EHLO":
                    offers = ["loopback", "AUTH PLAIN"]
                    if self.owner.context is not None and not self.encrypted:
                        offers.append("STARTTLS")
                    for offer in offers[:-1]:
                        self._say(f"250-{offer}")
                    self._say(f"250 {offers[-1]}")
                case "STARTTLS":
                    self._encrypt()
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    self.owner.logins.append((user, password))
                    self._say("235 welcome")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    if address.startswith("nobody"):
                        self._say("550 no such user")
                    else:
                        self.to.append(address)
                        self._say("250 ok")
                case "DATA":
                    self._say("354 go on")
                    self._take()
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def finish(self) -> None:
        super().finish()
        if self.secure is not None:
            self.secure.close()

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _encrypt(self) -> None:
        assert self.owner.context is not None
        self._say("220 go ahead")
        try:
            secure = self.owner.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:
            # The client did not trust the certificate, and hung up.
            return
        self.encrypted = True
        self.secure = secure
        self.rfile = cast(Any, secure.makefile("rb"))
        self.wfile = cast(Any, secure.makefile("wb", buffering=0))

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b"..") else line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        self.owner.messages.append((self.to, message))
        self._say("250 stored")
