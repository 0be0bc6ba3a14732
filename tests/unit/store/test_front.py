"""Where a look for pending runs may begin."""

from __future__ import annotations

from closingbell.store.front import START, Front


def test_front_begins_where_the_last_look_ended_until_its_time_is_up() -> None:
    front = Front(trust_s=0.2)
    front.look(10.0)
    front.note({"async": (5, 70, "b")}, frozenset({"thread"}))
    front.look(10.1)
    assert front.begins("async") == (5, 70, "b")
    assert front.begins("thread") == START
    assert front.is_empty("thread", 10.1)
    assert not front.is_empty("async", 10.1)
    assert not front.is_empty("thread", 10.3)
    front.look(10.3)
    assert front.begins("async") == START


def test_front_that_heard_news_begins_at_the_start() -> None:
    front = Front(trust_s=60.0)
    front.look(10.0)
    front.note({"async": (5, 70, "b")}, frozenset({"thread"}))
    front.stale()
    assert not front.is_empty("thread", 10.0)
    front.look(10.0)
    assert front.begins("async") == START
    assert not front.is_empty("thread", 10.0)


def test_front_whose_look_was_overtaken_by_news_is_not_trusted() -> None:
    front = Front(trust_s=60.0)
    front.look(10.0)
    front.stale()
    front.note({"async": (5, 70, "b")}, frozenset({"async"}))
    assert not front.is_empty("async", 10.0)
    front.look(10.0)
    assert front.begins("async") == START


def test_front_that_looks_on_does_not_trust_its_first_look_for_longer() -> None:
    front = Front(trust_s=1.0)
    for n in range(10):
        front.look(10.0 + n / 10)
        front.note({"async": (5, n, "b")}, frozenset())
    assert front.begins("async") == (5, 9, "b")
    front.look(11.0)
    assert front.begins("async") == START
