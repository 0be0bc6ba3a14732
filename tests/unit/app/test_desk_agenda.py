"""What passes a live desk, in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from closingbell.core.bar import Bar, Slice
from closingbell.core.clock import from_micros, to_micros
from closingbell.desk_agenda import CLOSING, DAILY_CLOSE, OPENING, SNAPSHOT, DeskAgenda
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.terms import AccountTerms
from tests.unit.trading.rig import Rig, bar, d

NAMES = {CLOSING: "closing", DAILY_CLOSE: "daily close", SNAPSHOT: "snapshot", OPENING: "opening"}
#: Monday 2012-11-19 to Tuesday; XNYS is open from 14:30 to 21:00 UTC.
BARS = [bar(0, 100, close=101), bar(1, 102, close=103)]


def instant(text: str) -> int:
    return to_micros(datetime.fromisoformat(f"2012-11-{text}").replace(tzinfo=UTC))


def shown(agenda: DeskAgenda, count: int) -> list[str]:
    """Perform so many steps; return when and what they were."""
    steps = []
    for _ in range(count):
        following = agenda.peek()
        assert following is not None
        steps.append(f"{from_micros(following[0]):%d %H:%M} {NAMES[following[1]]}")
        agenda.perform()
    return steps


def make(rig: Rig, since: str, bars: Sequence[Bar] = BARS, **more: Any) -> DeskAgenda:
    at = instant(since)
    return DeskAgenda(rig.desk, MemoryBars(bars), at, at, **more)


@pytest.fixture
def rig() -> Rig:
    return Rig(PaperBroker(), cash=d(1000))


def test_steps_of_two_days_come_in_the_order_of_a_backtest(rig: Rig) -> None:
    assert shown(make(rig, "19 14:30"), 9) == [
        "19 14:30 opening",
        "19 21:00 closing",
        "19 21:00 daily close",
        "19 21:00 snapshot",
        "20 14:30 opening",
        "20 21:00 closing",
        "20 21:00 daily close",
        "20 21:00 snapshot",
        # No bars any more, and the venue goes on.
        "21 21:00 daily close",
    ]
    assert rig.account.price("AAPL") == 103
    assert [s.at for s in rig.ledger.snapshots("main")] == [
        instant("19 21:00"),
        instant("20 21:00"),
    ]
    assert [f["session_date"] for f in rig.told("daily_close")] == [
        "2012-11-19",
        "2012-11-20",
        "2012-11-21",
    ]


def test_bar_that_has_started_before_is_still_closed(rig: Rig) -> None:
    """An account that is opened at noon is marked by the day's close."""
    assert shown(make(rig, "19 17:00"), 2) == ["19 21:00 closing", "19 21:00 daily close"]


def test_moments_of_one_instant_come_together_and_of_every_timeframe(rig: Rig) -> None:
    rig.desk.add(AccountTerms(name="fast", timeframe="1m"), PaperBroker())
    calls: list[Any] = []
    source = MemoryBars([*BARS, bar(0, 7, symbol="IBM")])
    source.upsert("AAPL", "1m", [Bar("AAPL", *_minute("19 20:59"), *BARS[0][3:])])
    agenda = DeskAgenda(rig.desk, source, instant("19 20:00"), instant("19 20:00"))
    original = rig.desk.closing

    def closing(at: int, slices: Sequence[Slice], timeframe: str | None = None) -> None:
        calls.append((timeframe, [b.symbol for part in slices for b in part.bars]))
        original(at, slices, timeframe)

    rig.desk.closing = closing  # type: ignore[method-assign]
    assert shown(agenda, 3) == ["19 20:59 opening", "19 21:00 closing", "19 21:00 daily close"]
    assert calls == [("1d", ["AAPL", "IBM"]), ("1m", ["AAPL"])]


def _minute(text: str) -> tuple[int, int]:
    return instant(text), instant(text) + 60_000_000


@pytest.mark.parametrize("step", ["closing", "daily_close", "snapshot"])
def test_step_that_fails_is_done_again_and_none_is_left_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    agenda = make(rig, "19 20:00")
    original, failures = getattr(rig.desk, step), [OSError("the disk is full")]

    def fail_once(*args: Any, **named: Any) -> None:
        if failures:
            raise failures.pop()
        original(*args, **named)

    monkeypatch.setattr(rig.desk, step, fail_once)
    steps = []
    for _ in range(5):
        try:
            steps += shown(agenda, 1)
        except OSError:
            steps.append("failed")

    assert [one for one in steps if one != "failed"] == [
        "19 21:00 closing",
        "19 21:00 daily close",
        "19 21:00 snapshot",
        "20 14:30 opening",
    ]
    assert steps.count("failed") == 1


def test_new_agenda_takes_over_what_the_old_one_had_left(rig: Rig) -> None:
    """A snapshot that waits for tasks is not lost when bars or accounts are added."""
    old = make(rig, "19 20:00")
    assert shown(old, 2)[-1] == "19 21:00 daily close"
    new = DeskAgenda(rig.desk, MemoryBars(BARS), rig.account.cursor, old.closed_until, before=old)

    # What the account has seen it leaves out.
    assert shown(new, 3) == ["19 21:00 closing", "19 21:00 snapshot", "20 14:30 opening"]
    assert len(rig.told("daily_close")) == 1


def test_end_of_the_bars_fills_what_waits_at_the_last_price(rig: Rig) -> None:
    agenda = make(rig, "19 14:30", BARS[:1])
    shown(agenda, 4)
    order = rig.place("buy", 2)
    assert rig.order(order).state == "open"
    agenda.tell_ends()

    filled = rig.order(order)
    assert (filled.state, rig.fills()) == ("filled", [(2, 101)])
    assert rig.ledger.entries("main", kind="fill")[0].note is not None
