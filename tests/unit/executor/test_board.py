from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from closingbell.executor.board import BOARD_BYTES, IMPORTING, RUNNING, Board, make_board_file


@pytest.fixture
def sides() -> Iterator[tuple[Board, Board]]:
    """The child's view and the parent's view of one board."""
    descriptor = make_board_file()
    child, parent = Board(descriptor), Board(descriptor)
    os.close(descriptor)
    yield child, parent
    child.close()
    parent.close()


def test_the_parent_sees_what_executes_since_when(sides: tuple[Board, Board]) -> None:
    child, parent = sides
    assert parent.executing()[0] == 0
    child.begin(5, 12.5, IMPORTING)
    assert parent.executing() == (5, 12.5, IMPORTING)
    child.begin(6, 13.5, RUNNING)
    assert parent.executing() == (6, 13.5, RUNNING)
    child.rest()
    assert parent.executing()[0] == 0


def test_reports_arrive_once_in_order_and_begin_anew_with_a_chunk(
    sides: tuple[Board, Board],
) -> None:
    child, parent = sides
    assert child.report(b"one")
    assert child.report(b"")
    assert parent.read_reports() == [b"one", b""]
    assert child.report(b"two")
    assert parent.read_reports() == [b"two"]
    parent.expect_chunk()
    child.rewind()
    assert child.report(b"three")
    assert parent.read_reports() == [b"three"]


def test_a_report_that_does_not_fit_is_refused_whole(sides: tuple[Board, Board]) -> None:
    child, parent = sides
    assert child.report(b"x" * (BOARD_BYTES - 200))
    assert not child.report(b"y" * 200)
    assert child.report(b"z")
    assert [len(report) for report in parent.read_reports()] == [BOARD_BYTES - 200, 1]


def test_calls_are_taken_back_from_a_number_on_until_the_next_chunk(
    sides: tuple[Board, Board],
) -> None:
    child, parent = sides
    assert not child.is_taken_back(3)
    parent.take_back_from(3)
    assert not child.is_taken_back(2)
    assert child.is_taken_back(3)
    assert child.is_taken_back(4)
    parent.expect_chunk()
    assert not child.is_taken_back(3)


def test_memory_is_published(sides: tuple[Board, Board]) -> None:
    child, parent = sides
    child.remember_memory(3 * 1024**3)
    assert parent.memory == 3 * 1024**3
