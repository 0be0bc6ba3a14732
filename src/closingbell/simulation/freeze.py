"""Freeze: `datetime.now()`, `time.time()` and `time.sleep()` of tasks tell and take simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from closingbell.core.call import current_call
from closingbell.core.clock import from_micros
from closingbell.core.error import BacktestError
from closingbell.core.zone import require_zone
from closingbell.simulation.attempt import Attempt

#: Kept before anything is frozen.
_really_sleep = time.sleep  # noqa: TID251


class Freeze:
    """Frozen time, moved along with the simulated clock.

    It holds for the whole process while the simulation runs: nothing else that needs the real
    time of day should go on in it meanwhile. `time.monotonic()` stays real.
    """

    def __init__(self, start: int, timezone: str, sleep: Callable[[float], None]) -> None:
        """Prepare to freeze at an instant.

        Args:
            start: microseconds since the epoch.
            timezone: becomes the process's local zone, as in an app of that zone.
            sleep: takes simulated seconds of the calling task.

        Raises:
            BacktestError: the library that does it is not installed.
        """
        try:
            import time_machine
        except ImportError as problem:
            raise BacktestError(
                "freeze",
                True,
                "the extra that freezes time: install closingbell[freeze] (time-machine), "
                "or use algorithm.now() and algorithm.sleep()",
            ) from problem
        zone = require_zone(timezone)
        self._travel: Any = time_machine.travel(from_micros(start).astimezone(zone), tick=False)
        self._sleep = sleep
        self._at = start
        self._traveller: Any = None

    def advanced(self, at: int) -> None:
        """Move on to an instant."""
        self._traveller.shift(timedelta(microseconds=at - self._at))
        self._at = at

    @contextmanager
    def frozen(self, handlers: Sequence[Callable[..., Any]]) -> Iterator[None]:
        """Freeze until the end of the `with` block.

        Args:
            handlers: tasks; a `sleep` that their modules imported by name is replaced as well.
        """
        replaced = list(_places(handlers))
        self._traveller = self._travel.start()
        for names, name in replaced:
            names[name] = self._sleep_somewhere
        try:
            yield
        finally:
            for names, name in replaced:
                names[name] = _really_sleep
            self._travel.stop()

    def _sleep_somewhere(self, seconds: float) -> None:
        """Stand in for `time.sleep`: simulated for tasks, real for everybody else."""
        if isinstance(current_call.get(), Attempt):
            self._sleep(seconds)
        else:
            _really_sleep(seconds)


def _places(handlers: Sequence[Callable[..., Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where `time.sleep` is known by name: the module itself, and modules of tasks."""
    yield vars(time), "sleep"
    seen: set[int] = set()
    for handler in handlers:
        function = getattr(handler, "__func__", handler)
        names = getattr(function, "__globals__", {})
        if id(names) in seen:
            continue
        seen.add(id(names))
        for name, value in list(names.items()):
            if value is _really_sleep:
                yield names, name
