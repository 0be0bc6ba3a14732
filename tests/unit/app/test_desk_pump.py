"""The thread that lets market data pass a live desk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from closingbell.core.clock import from_micros, to_micros
from closingbell.desk_pump import DeskPump
from closingbell.lockstep import Lockstep
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.terms import AccountTerms
from tests.acceptance.desk import PATIENCE_S, StandingClock, eventually
from tests.unit.app.test_lockstep import Notes
from tests.unit.trading.rig import START, Rig, bar, d


class Floor:
    """A desk with a paper account, a clock that tests move, and a pump."""

    def __init__(self) -> None:
        self.clock = StandingClock(START)
        self.rig = Rig(PaperBroker(), clock=self.clock, cash=d(1000))
        self.rig.account.cursor = to_micros(START) - 1
        self.source = MemoryBars([bar(n, 100 + n) for n in range(3)])
        self.notes = Notes()
        self.lockstep = Lockstep(self.notes, self.clock, lambda _: True, lambda _: True, PATIENCE_S)
        self.troubles: list[Exception] = []
        self.state = 0
        self.pump = DeskPump(
            self.rig.desk,
            self.source,
            self.clock,
            self.lockstep,
            state=lambda: self.state,
            on_trouble=self.troubles.append,
            look_s=0.0,
        )

    def at(self, text: str) -> int:
        moment = datetime.fromisoformat(f"2012-11-{text}").replace(tzinfo=UTC)
        return to_micros(moment)

    def go(self, text: str) -> int:
        """Move the clock; return the instant."""
        at = self.at(text)
        self.clock.advance(from_micros(at))
        return at

    def passes(self, at: int) -> bool:
        return self.pump.wait_for(at, PATIENCE_S)

    def price(self) -> Any:
        known = self.rig.account.prices.get("AAPL")
        return known and known[1]


@pytest.fixture
def floor() -> Iterator[Floor]:
    floor = Floor()
    yield floor
    floor.pump.stop()


def test_market_data_passes_as_the_clock_reaches_it(floor: Floor) -> None:
    floor.pump.start()
    eventually(lambda: floor.price() == 100, "the first opening")
    assert floor.rig.account.cursor_opened

    assert floor.passes(floor.go("20 21:00"))
    assert (floor.price(), floor.rig.account.cursor) == (101, floor.at("20 21:00"))
    assert [f["session_date"] for f in floor.rig.told("daily_close")] == [
        "2012-11-19",
        "2012-11-20",
    ]


def test_market_data_waits_for_a_run_that_is_due_before_it(floor: Floor) -> None:
    floor.pump.start()
    assert floor.passes(floor.at("19 14:30"))
    floor.notes.runs["run"] = floor.at("20 12:00")
    closing = floor.go("20 21:00")

    assert not floor.pump.wait_for(closing, 0.1)
    assert floor.price() == 100
    floor.notes.runs.clear()
    floor.pump.wake()
    assert floor.passes(closing)


def test_who_waits_for_a_closing_is_not_held_up_by_its_own_run(floor: Floor) -> None:
    """A run that is due at the close sees it, and the next opening waits for the run."""
    floor.pump.start()
    assert floor.passes(floor.at("19 14:30"))
    closing = floor.at("19 21:00")
    floor.notes.runs["run"] = closing
    floor.go("20 14:30")

    assert floor.passes(closing)
    assert floor.rig.account.cursor == closing
    assert not floor.rig.ledger.snapshots("main")
    floor.notes.runs.clear()
    floor.pump.wake()
    eventually(lambda: floor.price() == 101, "the next opening")
    assert len(floor.rig.ledger.snapshots("main")) == 1


def test_failure_is_told_once_and_tried_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("closingbell.desk_pump._PAUSES_S", (0.001,))
    failures = [OSError(f"the disk is full, {n}") for n in range(3)]
    original = floor.rig.desk.closing

    def fail(*args: Any) -> None:
        if failures:
            raise failures.pop(0)
        original(*args)

    monkeypatch.setattr(floor.rig.desk, "closing", fail)
    floor.pump.start()
    assert floor.passes(floor.go("19 21:00"))

    assert [str(problem) for problem in floor.troubles] == ["the disk is full, 0"]
    assert not failures
    assert floor.rig.account.cursor == floor.at("19 21:00")
    eventually(lambda: "market data passes the desk again" in caplog.text)


def test_account_that_is_added_is_walked_too(floor: Floor) -> None:
    floor.pump.start()
    assert floor.passes(floor.at("19 14:30"))
    other = floor.rig.desk.add(AccountTerms(name="other"), PaperBroker())
    other.cursor = floor.at("19 14:30")
    floor.pump.rebuild()

    assert floor.passes(floor.go("19 21:00"))
    assert other.price("AAPL") == 100
    assert [f["account"] for f in floor.rig.told("daily_close")] == ["main", "other"]


def test_bars_that_are_stored_later_are_noticed(floor: Floor) -> None:
    floor.pump.start()
    assert floor.passes(floor.go("23 14:00"))
    assert floor.rig.account.ended
    floor.source.upsert("AAPL", "1d", [bar(4, 200)])
    floor.state = 1
    floor.pump.wake()

    floor.go("23 14:30")
    eventually(lambda: floor.price() == 200, "the opening of a bar that came later")
    assert not floor.rig.account.ended


def test_days_that_were_missed_for_longer_than_a_week_are_left_out(floor: Floor) -> None:
    floor.go("30 22:00")
    floor.pump.start()
    assert floor.passes(floor.at("30 21:00"))

    told = [fact["session_date"] for fact in floor.rig.told("daily_close")]
    assert told == ["2012-11-26", "2012-11-27", "2012-11-28", "2012-11-29", "2012-11-30"]
    assert floor.price() == 102


def test_market_data_passes_no_more_once_the_pump_is_stopped(floor: Floor) -> None:
    floor.pump.start()
    assert floor.passes(floor.at("19 14:30"))
    floor.pump.stop()
    closing = floor.go("19 21:00")

    assert not floor.pump.wait_for(closing, 0.1)
    assert floor.price() == 100
