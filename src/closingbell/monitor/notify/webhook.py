"""Webhook: a POST to an address of yours, signed as Standard Webhooks says.

The headers are `webhook-id`, `webhook-timestamp` (seconds since the Unix epoch) and
`webhook-signature`: "v1," and the base64 of the HMAC-SHA256 of "id.timestamp.body".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from closingbell.core.error import ChannelError, DeliveryFailed
from closingbell.core.notification import Notification

_PREFIX = "whsec_"
#: The shortest secret, in bytes.
_SHORTEST = 16
#: The receiver is gone for good.
_GONE = 410
_LONGEST_WAIT_S = 3_600.0


class Webhook:
    """Posts messages as JSON.

    Redirects are not followed: a message goes to the address that was declared, or nowhere.
    """

    kind = "webhook"

    def __init__(
        self, name: str, url: str, *, secret: str | None = None, timeout_s: float = 10.0
    ) -> None:
        """Remember where to post; nothing is connected.

        Args:
            name: of the channel.
            url: http or https.
            secret: shared with the receiver; "whsec_" and base64, or any text of 16 characters
                or more. None = messages are not signed.
            timeout_s: seconds to wait for the receiver, for each step.

        Raises:
            ChannelError: an option is impossible.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChannelError(name, "webhook", "an address such as https://example.com/hook")
        self.name = name
        self._url = url
        self._key = None if secret is None else _key(name, secret)
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, {self._shown})"

    @property
    def _shown(self) -> str:
        # Paths and queries of such addresses often are the secret.
        parts = urlsplit(self._url)
        port = "" if parts.port is None else f":{parts.port}"
        return f"{parts.scheme}://{parts.hostname}{port}/..."

    def describe(self) -> dict[str, Any]:
        return {"address": self._shown, "signed": self._key is not None}

    def send(self, message: Notification, at: datetime) -> None:
        import httpx

        body = _payload(message, at)
        stamp = str(int(at.timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": "closingbell",
            "webhook-id": message.id,
            "webhook-timestamp": stamp,
        }
        if self._key is not None:
            headers["webhook-signature"] = sign(self._key, message.id, stamp, body)
        try:
            with (
                httpx.Client(timeout=self._timeout_s, follow_redirects=False) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status, wait = answer.status_code, answer.headers.get("retry-after", "")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            told = str(problem).replace(self._url, self._shown)
            raise DeliveryFailed(
                self.name, f"{type(problem).__name__}: {told}", retryable=True
            ) from problem
        if 200 <= status < 300:
            return
        after = min(float(wait), _LONGEST_WAIT_S) if wait.isdecimal() else None
        raise DeliveryFailed(self.name, f"the receiver answered {status}", status != _GONE, after)


def sign(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """Return the signature of a message, as the header carries it."""
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _key(name: str, secret: str) -> bytes:
    expected = f"'whsec_' and base64, or text, of {_SHORTEST} bytes at least"
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise ChannelError(name, "secret", expected) from None
    else:
        key = secret.encode()
    if len(key) < _SHORTEST:
        raise ChannelError(name, "secret", expected)
    return key


def _payload(message: Notification, at: datetime) -> bytes:
    body = message.body
    told = {
        "type": body.get("type", f"alert.{message.occasion}"),
        "timestamp": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        # What chat services show of a message that is posted to them.
        "text": f"{body['subject']}\n{body['text']}",
        "data": {"id": message.id, "occasion": message.occasion, **body},
    }
    return json.dumps(told, ensure_ascii=False).encode(errors="replace")
