"""When a client sends a request again."""

from __future__ import annotations

import pytest

from closingbell.client.retry import Trial, wait_before_retry


@pytest.mark.parametrize("status", [None, 502, 503, 504, 429])
def test_repeatable_request_that_met_a_passing_failure_is_sent_again(status: int | None) -> None:
    wait_s = wait_before_retry(Trial(1, True, status), most=3, chance=1.0)
    assert wait_s == pytest.approx(0.1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500])
def test_request_that_was_refused_for_good_is_not_sent_again(status: int) -> None:
    assert wait_before_retry(Trial(1, True, status), most=3, chance=1.0) is None


def test_act_without_a_key_that_may_have_been_received_is_not_sent_again() -> None:
    assert wait_before_retry(Trial(1, False, None, reached=True), most=3, chance=1.0) is None
    assert wait_before_retry(Trial(1, False, 503), most=3, chance=1.0) is None


def test_act_without_a_key_that_never_left_is_sent_again() -> None:
    assert wait_before_retry(Trial(1, False, None, reached=False), most=3, chance=1.0) is not None


def test_act_that_was_turned_away_for_coming_too_often_is_sent_again_when_it_may() -> None:
    assert wait_before_retry(Trial(1, False, 429, retry_after_s=7.0), most=3, chance=0.0) == 7.0


def test_act_whose_key_is_still_at_work_is_asked_about_again() -> None:
    assert wait_before_retry(Trial(1, True, 409, in_progress=True), most=3, chance=0.0) is not None


def test_act_whose_key_is_at_work_is_asked_about_for_longer_than_a_minute() -> None:
    waits = [
        wait_before_retry(Trial(n, True, 409, in_progress=True), most=4, chance=0.5)
        for n in range(1, 30)
    ]
    assert None in waits
    assert sum(wait for wait in waits if wait is not None) > 60


def test_last_try_is_the_last() -> None:
    assert wait_before_retry(Trial(3, True, 503), most=3, chance=1.0) is None


def test_waits_grow_and_are_bounded() -> None:
    waits = [wait_before_retry(Trial(n, True, 503), most=99, chance=1.0) for n in range(1, 12)]
    assert waits[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert waits[-1] == 5.0
