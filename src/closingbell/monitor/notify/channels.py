"""Channels: those that an app declares, by name.

They come from code and from the settings file alone: who may call the API must not choose where
this process connects to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from closingbell.core.error import ChannelError, UnknownChannel
from closingbell.monitor.notify.channel import Channel

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_KINDS = ("webhook", "smtp", "apprise", "log")
_MORE = {"webhook": ("secret", "timeout_s"), "apprise": ("timeout_s",)}


class Channels:
    """Named ways to reach people."""

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}

    def __iter__(self) -> Iterator[Channel]:
        return iter(list(self._channels.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order in which they were declared."""
        return tuple(self._channels)

    def add(self, name: str, options: Mapping[str, Any]) -> None:
        """Declare a channel; see `App.add_channel`.

        Raises:
            ChannelError: an option is impossible, or the name is taken.
        """
        if name in self._channels:
            raise ChannelError(name, "name", "one that no other channel has")
        self._channels[name] = read_channel(name, options)

    def get(self, name: str) -> Channel:
        """Return a channel.

        Raises:
            UnknownChannel: there is none of that name here.
        """
        if name not in self._channels:
            raise UnknownChannel(name, self._channels)
        return self._channels[name]


def read_channel(name: str, options: Mapping[str, Any]) -> Channel:
    """Return the channel of its options: exactly one of webhook, smtp, apprise and log.

    Raises:
        ChannelError: an option is impossible. It never holds what was given.
    """
    if not _NAME.fullmatch(name):
        raise ChannelError(name[:100], "name", "letters, digits, '-', '_' and '.'")
    given = {k: v for k, v in options.items() if v is not None and v is not False}
    kinds = [kind for kind in _KINDS if kind in given]
    if len(kinds) != 1:
        raise ChannelError(name, "kind", "exactly one of " + ", ".join(_KINDS))
    [kind] = kinds
    takes = _MORE.get(kind, ())
    for key in given:
        if key not in (kind, *takes):
            expected = f"for {kind} only " + (", ".join(takes) if takes else "itself")
            raise ChannelError(name, f"option {key!r}", expected)
    return _made(name, kind, given)


def _made(name: str, kind: str, given: Mapping[str, Any]) -> Channel:
    value = given[kind]
    if kind == "log":
        from closingbell.monitor.notify.log_channel import LogChannel

        if value is not True:
            raise ChannelError(name, "log", "True")
        return LogChannel(name)
    if kind == "smtp":
        from closingbell.monitor.notify.mail import Mail

        if not isinstance(value, Mapping):
            raise ChannelError(name, "smtp", "a table with 'host', 'from' and 'to'")
        return Mail(name, value)
    if not isinstance(value, str):
        raise ChannelError(name, kind, "an address")
    timeout_s = given.get("timeout_s", 10.0)
    if (
        isinstance(timeout_s, bool)
        or not isinstance(timeout_s, (int, float))
        or not 0 < timeout_s <= 60
    ):
        raise ChannelError(name, "timeout_s", "seconds, up to 60")
    if kind == "apprise":
        from closingbell.monitor.notify.apprise_channel import AppriseChannel

        return AppriseChannel(name, value, timeout_s=float(timeout_s))
    from closingbell.monitor.notify.webhook import Webhook

    secret = given.get("secret")
    if secret is not None and not isinstance(secret, str):
        raise ChannelError(name, "secret", "text")
    return Webhook(name, value, secret=secret, timeout_s=float(timeout_s))
