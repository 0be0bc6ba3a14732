"""Pages of runs on both stores: what is meant is found, once, at whatever bound."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from closingbell.core.clock import from_micros, to_micros
from closingbell.core.run import RunState
from closingbell.core.run_filter import RunFilter
from closingbell.core.run_filter_text import read_filter
from closingbell.core.run_summary import RunSummary
from closingbell.store.run_pages import StoredRunPages
from tests.conformance.desk import SECOND, START, Desk


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    made = Desk(store_address)
    yield made
    made.close()


def walk(
    pages: StoredRunPages, wanted: RunFilter, limit: int = 7, most: int = 500
) -> list[RunSummary]:
    found: list[RunSummary] = []
    after: str | None = None
    for _ in range(most):
        page = pages.page(wanted, after, limit)
        assert len(page.items) <= limit
        assert page.complete or page.next is not None
        found += page.items
        if page.next is None:
            return found
        after = page.next
    raise AssertionError("the walk does not end")


def ids(desk: Desk, line: str, **options: Any) -> list[str]:
    return [item.id for item in walk(desk.store.run_pages, read_filter(line), **options)]


def put_mixed(desk: Desk) -> dict[str, str]:
    """Store runs that differ in everything, and return their ids by a word for each."""
    found: dict[str, str] = {}

    def put(word: str, **changes: Any) -> None:
        found[word] = desk.submit_one(**changes)
        desk.advance(60)

    put("oldest")
    put("tagged", tags='["eod","risk"]')
    put("comma", tags='["a,b","eod"]')
    put("quote", tags='["a\\",\\"eod"]')
    put("unicode", tags='["größe"]', task="naïve")
    put("scheduled", state="scheduled", due_at=desk.now + 10**10, cause="schedule",
        schedule_id="close", fire_at=desk.now, session_date="2026-03-02")  # fmt: skip
    put("next session", cause="schedule", schedule_id="close", session_date="2026-03-03",
        state="scheduled", due_at=desk.now + 10**10)  # fmt: skip
    put("event", cause="event", event_id="e1")
    put("batch", batch_id="b1")
    put("ann", requested_by="ann")
    put("held", state="scheduled", hold="approval", requested_by="ann")
    return found


MEANT: list[tuple[str, set[str]]] = [
    ("tag:eod", {"tagged", "comma"}),
    ("tag:eod tag:risk", {"tagged"}),
    ('tag:"a,b"', {"comma"}),
    ('tag:"a\\",\\"eod"', {"quote"}),
    ("tag:größe", {"unicode"}),
    ("tag:b", set()),
    ("-tag:eod -task:naïve -state:scheduled", {"oldest", "quote", "event", "batch", "ann"}),
    ("task:naïve", {"unicode"}),
    ("schedule:close", {"scheduled", "next session"}),
    ("session:2026-03-02", {"scheduled"}),
    ("session:2026-03-02..", {"scheduled", "next session"}),
    ("session:..2026-03-02 cause:schedule", {"scheduled"}),
    ("event:e1", {"event"}),
    ("event:e1 state:failed", set()),
    ("batch:b1", {"batch"}),
    ("batch:b1 state:pending tag:x", set()),
    ("by:ann", {"ann", "held"}),
    ("hold:approval", {"held"}),
    ("hold:approval state:failed", set()),
    ("state:scheduled", {"scheduled", "next session", "held"}),
    ("state:scheduled by:ann", {"held"}),
    ("state:running,failed", set()),
    ("NAÏVE", set()),
    ("aïve", {"unicode"}),
    ('"\'; DROP TABLE runs; --"', set()),
    ("100% _", set()),
    ("RISK_SC -task:risk_scan", set()),
]


@pytest.mark.parametrize("look", [3, 10_000])
def test_page_of_a_filter_holds_what_is_meant_whatever_the_bound(desk: Desk, look: int) -> None:
    words = {run_id: word for word, run_id in put_mixed(desk).items()}
    pages = StoredRunPages(desk.store.database, look)
    for line, expected in MEANT:
        walked = [item.id for item in walk(pages, read_filter(line))]
        assert {words[run_id] for run_id in walked} == expected, line
        assert walked == sorted(walked, reverse=True), line
        assert len(walked) == len(expected), line


def test_page_by_time_of_submission_takes_the_first_instant_and_not_the_last(desk: Desk) -> None:
    found: list[str] = []
    for _ in range(5):
        desk.advance(1)
        found.append(desk.submit_one())
    at = [from_micros(desk.now - (4 - n) * SECOND) for n in range(5)]
    wanted = RunFilter(submitted_since=at[1], submitted_until=at[4])
    assert [item.id for item in walk(desk.store.run_pages, wanted)] == found[3:0:-1]


def test_page_by_time_finds_ids_that_callers_made(desk: Desk) -> None:
    from closingbell.core.run import RunItem

    desk.queue.submit(desk.template(), [RunItem("my-own-id", "{}")])
    since, until = START - timedelta(days=1), START + timedelta(days=1)
    wanted = RunFilter(submitted_since=since, submitted_until=until)
    assert [item.id for item in walk(desk.store.run_pages, wanted)] == ["my-own-id"]
    assert walk(desk.store.run_pages, RunFilter(submitted_until=since)) == []


def test_page_by_time_of_end_takes_runs_that_ended_then(desk: Desk) -> None:
    first, second = desk.submit(2)
    desk.work()
    desk.end(desk.claimer.claim(first))
    desk.advance(10)
    cut = from_micros(desk.now)
    desk.end(desk.claimer.claim(second), "failed", error='{"type":"E","message":"x"}')
    pages = desk.store.run_pages
    assert [i.id for i in walk(pages, RunFilter(finished_since=cut))] == [second]
    assert [i.id for i in walk(pages, RunFilter(finished_until=cut))] == [first]
    assert [i.id for i in walk(pages, RunFilter(finished_until=cut, worker="w1"))] == [first]
    assert walk(pages, RunFilter(worker="w2")) == []


def test_page_finds_words_in_the_error_but_not_in_its_traceback(desk: Desk) -> None:
    run_id = desk.submit_one()
    error = (
        '{"code":"x","type":"MemoryError","message":"Out of\\u0000 memory \\\\u0000 at 100%_",'
        '"traceback":"hidden word"}'
    )
    desk.finish(run_id, "failed", error=error, reason="not retried: broker_Said no")
    assert ids(desk, '"out of"') == [run_id]
    assert ids(desk, "100%_") == [run_id]
    assert ids(desk, "1%0") == []
    assert ids(desk, "BROKER_SAID memory") == [run_id]
    assert ids(desk, "hidden") == []
    assert ids(desk, run_id[:14]) == [run_id]
    assert ids(desk, run_id[:6]) == [run_id]
    assert ids(desk, f"{run_id[:8]}-{run_id[8:12]}-{run_id[12:16]}") == [run_id]
    assert ids(desk, "0fffffffffff") == []
    [item] = walk(desk.store.run_pages, RunFilter())
    assert item.error is not None
    assert item.error.startswith("MemoryError: Out of")


def test_page_shows_a_long_error_as_one_short_line(desk: Desk) -> None:
    run_id = desk.submit_one()
    message = "line\\n" * 500
    desk.finish(run_id, "failed", error=f'{{"type":"E","message":"{message}","traceback":"t"}}')
    [item] = walk(desk.store.run_pages, RunFilter())
    assert item.error is not None
    assert len(item.error) <= 300
    assert "\n" not in item.error
    assert item.error.endswith("…")
    assert item.state is RunState.FAILED
    assert item.duration == timedelta()
    assert item.lateness == timedelta()


@pytest.mark.parametrize(
    "line",
    ["", "task:risk_scan", "-state:success", "state:pending,running,failed,success", "tag:even"],
)
def test_walk_while_runs_are_added_and_change_sees_each_run_once(desk: Desk, line: str) -> None:
    meant = desk.submit(40, tags='["even"]')
    other = desk.submit(10, task="other")
    wanted = read_filter(line)
    pages = StoredRunPages(desk.store.database, look=16)
    seen: list[str] = []
    after: str | None = None
    desk.claimer.free = {"async": 3}
    while True:
        page = pages.page(wanted, after, 4)
        seen += [item.id for item in page.items]
        if page.next is None:
            break
        after = page.next
        desk.submit(2, tags='["even"]')
        for claim in list(desk.claimer.claims):
            desk.claimer.ended.append(
                desk.settle(claim, "failed", error='{"type":"E","message":"m"}')
            )
        desk.work()
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(meant) | set(other)
    assert set(meant) <= set(seen)


def test_page_of_a_rare_match_stops_at_its_bound_and_goes_on_from_there(desk: Desk) -> None:
    rare = desk.submit_one(tags='["rare"]')
    desk.submit(50)
    pages = StoredRunPages(desk.store.database, look=20)
    wanted = RunFilter(tags=("rare",))
    page = pages.page(wanted, None, 5)
    assert page.items == []
    assert not page.complete
    assert page.next is not None
    page = pages.page(wanted, page.next, 5)
    assert not page.complete
    page = pages.page(wanted, page.next, 5)
    assert [item.id for item in page.items] == [rare]
    assert page.complete
    assert page.next is None


def test_page_takes_the_index_that_reaches_furthest_back(desk: Desk) -> None:
    old = desk.submit_one(task="once")
    desk.work()
    desk.end(desk.claimer.claim(old), "failed", error='{"type":"E","message":"m"}')
    desk.submit(50)
    pages = StoredRunPages(desk.store.database, look=20)
    for line in ("task:once tag:x", "state:failed tag:x", "task:once state:failed", "task:once m"):
        page = pages.page(read_filter(line))
        assert page.complete, line
        assert len(page.items) == ("tag" not in line), line


def test_page_of_a_full_page_ends_without_an_empty_one(desk: Desk) -> None:
    desk.submit(4)
    page = desk.store.run_pages.page(RunFilter(), None, 4)
    assert len(page.items) == 4
    assert page.next is None
    assert page.complete
    assert desk.store.run_pages.ids(RunFilter(), None, 3).next is not None


def test_page_after_the_end_is_empty(desk: Desk) -> None:
    desk.submit(2)
    for after in ("", "\u0001", "0"):
        assert desk.store.run_pages.page(RunFilter(), after).items == []


def test_page_summaries_carry_what_lists_show(desk: Desk) -> None:
    run_id = desk.submit_one(
        tags='["a"]', key="k", batch_id="b", requested_by="ann", event_id="e", cause="event"
    )
    [item] = desk.store.run_pages.page(RunFilter(task="risk_scan")).items
    run = desk.store.runs.get(run_id)
    for name in RunSummary._fields:
        assert getattr(item, name) == getattr(run, name), name
    assert to_micros(item.submitted_at) == desk.now
