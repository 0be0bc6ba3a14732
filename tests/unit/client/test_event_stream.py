"""Server-sent events: the standard's own examples, and any way of cutting a stream into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closingbell.client.event_stream import EventReader, SentEvent


def read(*pieces: bytes, reader: EventReader | None = None) -> list[SentEvent]:
    reader = EventReader() if reader is None else reader
    return [event for piece in pieces for event in reader.feed(piece)]


def test_reader_joins_lines_of_data_and_skips_comments() -> None:
    assert read(b": sign of life\n\ndata: one\ndata:two\n\n") == [
        SentEvent(None, "message", "one\ntwo")
    ]


def test_reader_names_the_kind_and_the_place_to_resume() -> None:
    reader = EventReader()
    events = read(b"id: 7\nevent: runs\ndata: {}\n\n", reader=reader)
    assert events == [SentEvent("7", "runs", "{}")]
    assert reader.last_id == "7"


def test_reader_keeps_the_place_of_the_last_whole_event_only() -> None:
    reader = EventReader("3")
    assert read(b"id: 4\ndata: half", reader=reader) == []
    assert reader.last_id == "3"


def test_reader_takes_a_place_without_data_for_a_place() -> None:
    reader = EventReader()
    assert read(b"id: 9\n\n", reader=reader) == []
    assert reader.last_id == "9"


def test_reader_does_as_asked_about_the_time_before_it_comes_back() -> None:
    reader = EventReader()
    read(b"retry: 2500\nretry: soon\n\n", reader=reader)
    assert reader.retry_s == 2.5


def test_reader_ignores_a_place_with_nul_and_fields_it_does_not_know() -> None:
    reader = EventReader("1")
    assert read(b"id: a\0b\nfoo: bar\ndata\n\n", reader=reader) == [SentEvent("1", "message", "")]


_FIELD = st.sampled_from(
    ["data: x", "data", "event: runs", "id: 5", ": c", "retry: 10", "", "é: ü"]
)
_END = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(_FIELD, _END), max_size=30), st.data())
def test_stream_says_the_same_however_it_is_cut(
    lines: list[tuple[str, str]], data: st.DataObject
) -> None:
    text = "".join(field + end for field, end in lines).encode() + b"\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(*pieces) == read(text)
