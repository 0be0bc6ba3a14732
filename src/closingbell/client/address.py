"""Address: where a service is, and what it is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from closingbell.core.error import SettingError

#: Where `closingbell serve` listens when nothing else is said.
DEFAULT_URL = "http://127.0.0.1:8470"


class Address(NamedTuple):
    """A service and the credential for it.

    Attributes:
        url: its base, without a slash at the end.
        token: sent as `Authorization: Bearer`; None sends nothing.
    """

    url: str
    token: str | None

    def __repr__(self) -> str:
        # A token must not reach a log by way of a traceback.
        return f"Address({self.url!r}, token={'***' if self.token else None})"


def find_address(
    url: str | None = None,
    token: str | None = None,
    token_file: str | Path | None = None,
    *,
    insecure: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Address:
    """Return the service that is meant: as given, else as the environment says.

    Args:
        url: default CLOSINGBELL_URL, else `http://127.0.0.1:8470`.
        token: leads over `token_file`, which leads over CLOSINGBELL_TOKEN.
        token_file: a file with the token in its first line.
        insecure: send the token over plain http to another machine, too.
        environ: default the process's environment.

    Raises:
        SettingError: the address is none, the file cannot be read, or a token would travel
            unencrypted.
    """
    env = os.environ if environ is None else environ
    base = (url or env.get("CLOSINGBELL_URL") or DEFAULT_URL).rstrip("/")
    try:
        parts = urlsplit(base)
        host, _port = parts.hostname, parts.port
    except ValueError as problem:
        raise SettingError("url", base, f"an address such as {DEFAULT_URL} ({problem})") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingError("url", base, f"an address such as {DEFAULT_URL}")
    if parts.query or parts.fragment or parts.username is not None:
        raise SettingError("url", parts.hostname, "an address without user, query or fragment")
    shown = _token(token, token_file, env)
    if shown is not None and parts.scheme == "http" and not insecure and not _is_loopback(host):
        raise SettingError(
            "url", base, "https, since a token would travel unencrypted; or insecure=True"
        )
    return Address(base, shown)


def _token(given: str | None, file: str | Path | None, env: Mapping[str, str]) -> str | None:
    if given is not None:
        text = given
    elif file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8").split("\n", 1)[0]
        except (OSError, UnicodeDecodeError) as problem:
            raise SettingError("token file", str(file), f"a readable file ({problem})") from problem
        if not text.strip():
            raise SettingError("token file", str(file), "a token in its first line, which is empty")
    else:
        text = env.get("CLOSINGBELL_TOKEN", "")
    text = text.strip()
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        raise SettingError("token", "***", "one word of printable ASCII characters")
    return text or None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
