"""SignInLimit: who fails to sign in too often is told to wait."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict

from closingbell.core.clock import Clock
from closingbell.core.error import TooManyRequests

_WINDOW_S = 60.0
#: In all, so many times as often as one address may.
_ALL = 10
#: More addresses are not remembered; the oldest is forgotten.
_MOST = 10_000


class SignInLimit:
    """Failed sign-ins of the last minute, by client address and in all; of this process."""

    def __init__(self, clock: Clock, failures: int) -> None:
        """Begin with nobody.

        Args:
            clock: the machine's seconds count.
            failures: so many a minute are answered for one address.
        """
        self._clock = clock
        self._failures = failures
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, list[float]] = OrderedDict()
        self._all: list[float] = []

    def require(self, address: str) -> None:
        """Refuse a sign-in before it is looked at.

        Raises:
            TooManyRequests: too many failed of this address, or in all.
        """
        now = self._clock.monotonic()
        with self._lock:
            own = self._recent.get(_network(address), [])
            waits_s = max(
                _wait_s(own, self._failures, now), _wait_s(self._all, self._failures * _ALL, now)
            )
        if waits_s > 0:
            raise TooManyRequests("failed sign-ins", waits_s)

    def failed(self, address: str) -> None:
        """Note a sign-in that failed."""
        now = self._clock.monotonic()
        network = _network(address)
        with self._lock:
            own = self._recent.setdefault(network, [])
            self._recent.move_to_end(network)
            for times, most in ((own, self._failures), (self._all, self._failures * _ALL)):
                # No more are needed to know how long to wait.
                times.append(now)
                del times[:-most]
            if len(self._recent) > _MOST:
                self._recent.popitem(last=False)


def _wait_s(times: list[float], most: int, now: float) -> float:
    return times[-most] + _WINDOW_S - now if len(times) >= most else 0.0


def _network(address: str) -> str:
    """Return whose address it is: one who has an IPv6 address has a whole network of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
