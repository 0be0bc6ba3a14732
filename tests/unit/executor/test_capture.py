from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.call import Call, current_call
from closingbell.core.outcome import Returned
from closingbell.executor.capture import Capture, Pieces
from tests.unit.executor.calls import Outcomes, text_of


def run_in(call: Call, code: Callable[[], object]) -> None:
    def inside() -> None:
        current_call.set(call)
        code()

    copy_context().run(inside)


def a_call() -> Call:
    return Outcomes().call(lambda payload: None)


def test_what_a_run_prints_is_kept_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    capture, call = Capture(), a_call()
    capture.install()
    print("before")
    run_in(call, lambda: (print("mine", 1), print("oops", file=sys.stderr)))
    capture.remove()
    assert call.logs == [("stdout", "mine 1\n"), ("stderr", "oops\n")]
    assert out.getvalue() == "before\nmine 1\n"
    assert err.getvalue() == "oops\n"
    assert sys.stdout is out


def test_nothing_is_passed_on_when_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    capture, call = Capture(passthrough=False), a_call()
    capture.install()
    run_in(call, lambda: print("quiet"))
    print("loud")
    capture.remove()
    assert text_of(call) == "quiet\n"
    assert out.getvalue() == "loud\n"


def test_threads_keep_their_own_calls_output() -> None:
    capture = Capture(passthrough=False)
    capture.install()
    calls = [a_call() for _ in range(4)]
    together = threading.Barrier(4)

    def talk(name: int) -> None:
        together.wait()
        for _ in range(100):
            print(name)

    threads = [
        threading.Thread(target=run_in, args=(call, lambda i=i: talk(i)))
        for i, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    capture.remove()
    assert [text_of(call) for call in calls] == [f"{i}\n" * 100 for i in range(4)]


def test_the_streams_stay_in_place_until_the_last_remove() -> None:
    real = sys.stdout
    first, second = Capture(), Capture()
    first.install()
    first.install()
    second.install()
    first.remove()
    second.remove()
    assert sys.stdout is not real
    first.remove()
    first.remove()
    assert sys.stdout is real


def test_a_run_under_two_captures_is_kept_once() -> None:
    first, second, call = Capture(passthrough=False), Capture(passthrough=False), a_call()
    first.install()
    second.install()
    run_in(call, lambda: print("once"))
    second.remove()
    first.remove()
    assert text_of(call) == "once\n"


def test_log_lines_are_kept_with_time_level_and_name() -> None:
    capture, call = Capture(), a_call()
    capture.install()
    run_in(call, lambda: logging.getLogger("desk").warning("spread is %d bp", 7))
    logging.getLogger("desk").warning("outside")
    capture.remove()
    (line,) = text_of(call, "log").splitlines()
    assert line.endswith("WARNING  desk: spread is 7 bp")
    assert line[:2] == "20"
    assert text_of(call) == line + "\n"


def test_the_contexts_own_logger_is_kept_from_info_on() -> None:
    capture, call = Capture(), a_call()

    def log() -> None:
        call.context.log.info("seen")
        call.context.log.debug("not seen")

    capture.install()
    run_in(call, log)
    capture.remove()
    assert text_of(call, "log").endswith(f"closingbell.task.{call.claim.task}: seen\n")


def test_an_exception_is_logged_with_its_traceback_and_a_bad_format_does_not_raise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    capture, call = Capture(), a_call()

    def log() -> None:
        try:
            raise ValueError("no price")
        except ValueError:
            logging.getLogger("desk").exception("failed")
        logging.getLogger("desk").warning("%d", "not a number")

    capture.install()
    run_in(call, log)
    capture.remove()
    assert "ValueError: no price" in text_of(call, "log")
    assert "'%d' % ('not a number',)" in text_of(call, "log")


def test_a_handler_that_writes_to_stderr_does_not_double_log_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    capture, call = Capture(), a_call()
    logger = logging.getLogger("desk.doubled")
    logger.propagate = False
    capture.install()
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    run_in(call, lambda: logger.warning("once"))
    logger.removeHandler(handler)
    capture.remove()
    assert text_of(call).count("once") == 1


def test_the_root_logger_can_be_set_up_while_installed() -> None:
    """A handler of ours on the root logger would make basicConfig do nothing."""
    root = logging.getLogger()
    before = list(root.handlers)
    capture = Capture()
    capture.install()
    assert root.handlers == before
    capture.remove()


def test_take_returns_what_is_new_and_keeps_the_end_for_the_end() -> None:
    capture, call = Capture(limit=20), a_call()
    capture.keep(call, "stdout", "one")
    assert capture.take(call) == [("stdout", "one")]
    assert capture.take(call) == []
    capture.keep(call, "stdout", "0123456789")
    assert capture.take(call) == [("stdout", "0123456")]
    capture.keep(call, "stdout", "abcdefghijklm")
    assert capture.take(call) == []
    call.outcome = Returned(None)
    assert capture.take(call) == [
        ("log", "\n... 6 characters were dropped here ...\n"),
        ("stdout", "defghijklm"),
    ]
    assert call.logs is None


@given(
    st.integers(2, 60),
    st.lists(st.tuples(st.sampled_from(["stdout", "log"]), st.text("ab\n", max_size=30))),
)
def test_kept_pieces_are_the_beginning_and_the_end(limit: int, writes: list[Any]) -> None:
    pieces = Pieces(limit)
    for stream, text in writes:
        if text:
            pieces.add(stream, text)
    whole = "".join(text for _, text in writes)
    kept = "".join(text for _, text in pieces)
    if len(whole) <= limit:
        assert kept == whole
    else:
        head, rest = kept[: limit // 2], kept[limit // 2 :]
        gap = f"\n... {len(whole) - limit:,} characters were dropped here ...\n"
        assert head == whole[: limit // 2]
        assert rest == gap + whole[len(whole) - (limit - limit // 2) :]
