"""From an empty file to a summary: the desk's week, at work on the real engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from closingbell.app import App
from closingbell.core.clock import ScaledClock, SimulatedClock, SystemClock
from closingbell.core.error import SettingError
from closingbell.demo.desk import CHILDREN, STRATEGY, ZONE, make_desk
from closingbell.demo.summary import summarise
from closingbell.store.store import open_store

if TYPE_CHECKING:
    from closingbell.simulation.report import Report

#: The days around Thanksgiving of 2012: a holiday on Thursday, an early close on Friday.
START = datetime(2012, 11, 21, 6, 0, tzinfo=ZoneInfo(ZONE))
END = datetime(2012, 11, 26, 18, 0, tzinfo=ZoneInfo(ZONE))
#: The strategy's backtest: all days that all five stocks have before the desk opens.
BACKTEST = ("2012-05-21", "2012-11-20")
#: Desk seconds in one real second: the five days and a half pass in 40 seconds.
SPEED = 12_000.0
#: Real seconds between two looks at the desk.
_LOOK_S = 0.1
#: Real seconds that runs may take to end after the desk's clock has reached the end.
_LAST_RUNS_S = 30.0


class Demo:
    """One demo on one SQLite file.

    Attributes:
        path: the file.
        clock: the desk's accelerated time; it starts when the desk opens.
        start: where it starts; end: where the accelerated part is over.
        speed: desk seconds in one real second.
    """

    def __init__(
        self,
        path: Path,
        *,
        speed: float = SPEED,
        end: datetime = END,
        **settings: Any,
    ) -> None:
        """Prepare; nothing is written yet.

        Args:
            path: a file that is not there yet.
            speed: desk seconds in one real second.
            end: until when the accelerated part lasts.
            settings: any field of `Settings`.

        Raises:
            SettingError: the file is there, the speed is impossible, or the end too early.
        """
        if path.exists():
            raise SettingError(
                "database", str(path), "a new file: a demo begins with an empty desk"
            )
        if not 1 <= speed <= 100_000:
            raise SettingError("speed", speed, "desk seconds in a second, from 1 to 100000")
        if end <= START:
            raise SettingError("until", end.isoformat(), f"an instant after {START.isoformat()}")
        self.path = path.absolute()
        self.start, self.end, self.speed = START, end, speed
        self._settings = settings
        self._reached = end

    def play(self, watch: Callable[[App], None]) -> dict[str, Any]:
        """Run the desk until the end, call `watch` at every look, and return the summary."""
        self._make_tables()
        clock = ScaledClock(self.start, self.speed)
        app = make_desk(self.path, clock, **self._settings)
        with app.running():
            app.submit_many("preflight", [{"child": n} for n in range(CHILDREN)])
            while clock.now() < self.end:
                clock.sleep(_LOOK_S * self.speed)
                watch(app)
            self._await_last_runs(app, watch)
            self._reached = clock.now()
            return self.summary(app)

    def backtest(self, progress: Callable[[int], None] | None = None) -> Report:
        """Backtest what trades on the half year before; write the report's page.

        Returns:
            The report; its page is `self.page`.
        """
        self._make_tables()
        # On a standing clock: schedules that are stored now begin where the desk will.
        app = make_desk(self.path, SimulatedClock(self.start), **self._settings)
        try:
            report = app.backtest(
                *BACKTEST,
                tasks=STRATEGY,
                name="the desk's strategy before its week",
                progress=progress,
            )
            report.to_html(self.page)
            return report
        finally:
            app.stop()

    @property
    def page(self) -> Path:
        """Where the backtest's page is written."""
        return self.path.parent / "backtest.html"

    def _make_tables(self) -> None:
        """Make the file with all its tables while the desk's clock does not run yet."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        store = open_store(self.path, SystemClock())
        try:
            store.prepare()
        finally:
            store.close()

    def _await_last_runs(self, app: App, watch: Callable[[App], None]) -> None:
        deadline = app.clock.monotonic() + _LAST_RUNS_S
        for schedule in app.store.schedules.list_all():
            # What fires after the end belongs to the time after the demo.
            app.store.schedules.pause(schedule["id"], "the demo is over", None, app.clock.micros())
        while app.clock.monotonic() < deadline:
            if not app.store.load.active():
                return
            app.clock.sleep(_LOOK_S * self.speed)
            watch(app)

    def summary(self, app: App) -> dict[str, Any]:
        """Return the summary of what is stored."""
        return summarise(
            app,
            start=self.start,
            end=self.end,
            speed=self.speed,
            timezone=ZONE,
            folder=self.path.parent,
        )

    def serve(self, told: Callable[[str, str], None]) -> None:
        """Go on where the accelerated clock stopped, in real time, until Ctrl-C or SIGTERM.

        Args:
            told: called with the address of the service, and with the one that signs in once.
        """
        from closingbell.api.security.entrance import sign_in_address
        from closingbell.api.server import ApiServer
        from closingbell.core.role import Role

        clock = ScaledClock(self._reached, 1.0)
        app = make_desk(self.path, clock, **self._settings)
        try:
            for schedule in app.store.schedules.list_all():
                app.store.schedules.resume(schedule["id"], schedule["next_fire_at"])
            app.start(block=False)
            # A free port: the desk that somebody really runs may hold the usual one.
            with ApiServer(app, port=0) as server:
                told(server.url, sign_in_address(app, server.url, "visitor", Role.ADMIN))
                app.await_stop()
        finally:
            app.stop()
