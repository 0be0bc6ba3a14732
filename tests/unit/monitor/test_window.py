"""Which buckets make up a window: each instant once, in few rows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.monitor.window import DAY, HOUR, KEPT, MINUTE, bucket_of, spans_of

SECOND = 1_000_000
NOW = 1_772_461_800 * SECOND + 17

backs = st.integers(0, 399 * DAY * SECOND)


@given(backs, st.integers(0, 3 * DAY * SECOND))
def test_spans_follow_each_other_without_gaps_up_to_now(back: int, later: int) -> None:
    now = NOW + later
    spans = spans_of(now - back, now)
    assert spans[0].since <= now - back
    for before, after in pairwise(spans):
        assert before.until == after.since
    assert spans[-1].until is None or spans[-1].until > now
    for span in spans:
        assert span.since == bucket_of(span.since, span.width_s)


@given(backs)
def test_spans_need_few_buckets_and_only_kept_ones(back: int) -> None:
    rows = 0
    for span in spans_of(NOW - back, NOW):
        end = NOW if span.until is None else min(span.until, NOW)
        rows += -(-(end - span.since) // (span.width_s * SECOND))
        assert span.since >= NOW - KEPT[span.width_s] * SECOND
    assert rows <= 60 + 24 + 401


@pytest.mark.parametrize(
    ("back", "width"),
    [(25 * HOUR, MINUTE), (25 * HOUR + 1, HOUR), (32 * DAY, HOUR), (32 * DAY + 1, DAY)],
)
def test_window_begins_with_the_finest_bucket_that_is_kept(back: int, width: int) -> None:
    since = NOW - back * SECOND
    assert spans_of(since, NOW)[0].since == bucket_of(since, width)
