"""Faults that a test orders from the local exchange, one request at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What goes wrong with the next request of a kind.

    Attributes:
        request: such as "POST order" or "GET myTrades".
        accepted: whether the exchange does what was asked before it goes wrong.
        reset: the connection is torn down instead of an answer.
        hold: the request stands still until `release` is set; `reached` says that it does.
        body: what is answered instead; a callable makes it of the right answer.
        content_length: what the answer claims to be long, if not the truth.
        twice: the answer comes a second time, unasked, on the same connection.
        times: how many requests.
    """

    request: str
    accepted: bool = False
    reset: bool = False
    hold: bool = False
    status: int | None = None
    body: bytes | Callable[[bytes], bytes] | None = None
    content_type: str = "application/json;charset=UTF-8"
    content_length: int | None = None
    twice: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


def lost(request: str = "POST order") -> Fault:
    """The connection breaks before the exchange has read the request."""
    return Fault(request, reset=True)


def cut(request: str = "POST order") -> Fault:
    """The connection breaks after the exchange did what was asked."""
    return Fault(request, accepted=True, reset=True)


def silence(request: str = "POST order") -> Fault:
    """The exchange did what was asked, and its answer never comes."""
    return Fault(request, accepted=True, hold=True)


def stuck(request: str = "POST order") -> Fault:
    """The request stands still on its way; released, the exchange reads it after all."""
    return Fault(request, hold=True)


def error(status: int, request: str = "POST order", *, accepted: bool = False) -> Fault:
    """An error of the machinery, which says nothing about what became of the request."""
    body = b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}'
    return Fault(request, accepted=accepted, status=status, body=body)


def throttled(
    seconds: str, request: str = "POST order", *, status: int = 429, times: int = 1
) -> Fault:
    """Too many requests; come back in so many seconds."""
    body = b'{"code":-1003,"msg":"Too much request weight used; please use fewer requests."}'
    return Fault(request, status=status, body=body, headers={"Retry-After": seconds}, times=times)


def html(request: str = "POST order", *, status: int = 200, accepted: bool = True) -> Fault:
    """A page for people."""
    body = b"<html><head><title>Just a moment...</title></head><body>Checking</body></html>"
    return Fault(request, accepted=accepted, status=status, body=body, content_type="text/html")


def instead(body: bytes | Callable[[bytes], bytes], request: str = "POST order") -> Fault:
    """Another answer than the right one, after the exchange did what was asked."""
    return Fault(request, accepted=True, body=body)
