"""The audit chain: every edit of it is found and named, and a whole one is left in peace."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.actor import ActorKind, acting_as, current_actor, signed
from closingbell.core.audit import (
    GENESIS,
    RESTARTED,
    START,
    AuditRecord,
    Finding,
    Head,
    Problem,
    canonical,
    difference,
    read_head,
    verify,
)
from closingbell.core.audit_export import counted, csv_text, json_lines, report_page


def chain(length: int, **changes: Any) -> list[AuditRecord]:
    """A whole chain."""
    made: list[AuditRecord] = []
    previous = GENESIS
    for seq in range(1, length + 1):
        record = AuditRecord(
            seq,
            1_000_000 * seq,
            "ann",
            "person",
            "schedule.paused",
            "schedule",
            f"s{seq}",
            "month end",
            None,
            canonical({"paused": seq}),
            previous,
        )
        record = record._replace(**changes).sealed()
        made.append(record)
        previous = record.hash
    return made


def end(records: list[AuditRecord]) -> Head:
    """Where a chain ends."""
    return Head(records[-1].seq, records[-1].hash) if records else START


def found(
    records: list[AuditRecord], head: Head | None, *known: Head
) -> list[tuple[Problem, int, int]]:
    """What is wrong, without the sentences."""
    return [finding[:3] for finding in verify(records, head, known).findings]


def relinked(records: list[AuditRecord]) -> list[AuditRecord]:
    """The records as somebody who knows how would number and hash them anew."""
    previous, made = GENESIS, []
    for seq, record in enumerate(records, 1):
        made.append(record._replace(seq=seq, previous=previous).sealed())
        previous = made[-1].hash
    return made


@given(st.integers(0, 12))
def test_whole_chain_has_no_findings(length: int) -> None:
    records = chain(length)
    verdict = verify(records, end(records), [START, *(Head(r.seq, r.hash) for r in records)])
    assert verdict.findings == ()
    assert (verdict.records, verdict.head) == (length, end(records))


def test_chain_without_head_is_whole_only_when_it_is_empty() -> None:
    assert verify([], None).ok
    assert found(chain(2), None) == [(Problem.HEAD, 2, 2)]


FIELDS = (
    "at", "actor", "actor_kind", "action", "target_kind", "target_id", "reason",
    "before_json", "after_json", "previous", "hash",
)  # fmt: skip


@given(st.integers(2, 8), st.data())
def test_field_that_is_altered_is_named_with_its_record(length: int, data: st.DataObject) -> None:
    records = chain(length)
    head = end(records)
    place = data.draw(st.integers(0, length - 1))
    field = data.draw(st.sampled_from(FIELDS))
    was = getattr(records[place], field)
    value = data.draw(
        (st.integers(0) if field == "at" else st.none() | st.text()).filter(lambda v: v != was)
    )
    change: dict[str, Any] = {field: value}
    records[place] = records[place]._replace(**change)
    assert (Problem.ALTERED, place + 1, place + 1) in found(records, head)


@given(st.integers(1, 8), st.data())
def test_record_that_is_written_anew_with_its_hash_is_named(
    length: int, data: st.DataObject
) -> None:
    records = chain(length)
    head = end(records)
    place = data.draw(st.integers(0, length - 1))
    records[place] = records[place]._replace(actor="bob").sealed()
    expected = (
        (Problem.HEAD, length, length)
        if place == length - 1
        else (Problem.UNLINKED, place + 2, place + 2)
    )
    assert found(records, head) == [expected]


@given(st.integers(1, 9), st.data())
def test_records_that_are_missing_are_named_exactly(length: int, data: st.DataObject) -> None:
    records = chain(length)
    head = end(records)
    gone = data.draw(st.sets(st.integers(1, length), min_size=1))
    left = [record for record in records if record.seq not in gone]
    findings = verify(left, head).findings
    named = {n for f in findings for n in range(f.seq, f.until + 1)}
    assert named == gone
    assert {f.problem for f in findings} <= {Problem.MISSING, Problem.CUT}
    assert any(f.problem is Problem.CUT for f in findings) == (length in gone)


@given(st.integers(2, 9), st.data())
def test_records_that_changed_places_are_named_with_their_old_ones(
    length: int, data: st.DataObject
) -> None:
    records = chain(length)
    head = end(records)
    one, other = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=2, max_size=2)))
    records[one], records[other] = (
        records[other]._replace(seq=one + 1),
        records[one]._replace(seq=other + 1),
    )
    findings = verify(records, head).findings
    moved = {f.seq: f.sentence for f in findings if f.problem is Problem.MOVED}
    assert moved == {
        one + 1: f"record {one + 1} was record {other + 1}",
        other + 1: f"record {other + 1} was record {one + 1}",
    }


@given(st.integers(2, 9), st.integers(1, 5), st.data())
def test_record_that_is_renumbered_is_named(length: int, by: int, data: st.DataObject) -> None:
    records = chain(length)
    head = end(records)
    place = data.draw(st.integers(0, length - 1))
    moved = records.pop(place)
    records.append(moved._replace(seq=length + by))
    findings = verify(records, head).findings
    assert any(f.sentence == f"record {length + by} was record {place + 1}" for f in findings)


@given(st.integers(1, 9), st.data())
def test_record_that_is_put_in_between_is_named(length: int, data: st.DataObject) -> None:
    records = chain(length)
    head = end(records)
    place = data.draw(st.integers(0, length - 1))
    before = GENESIS if place == 0 else records[place - 1].hash
    forged = records[0]._replace(seq=place + 1, actor="bob", previous=before).sealed()
    shifted = [record._replace(seq=record.seq + 1) for record in records[place:]]
    findings = found([*records[:place], forged, *shifted], head)
    for record in shifted:
        assert (Problem.MOVED, record.seq, record.seq) in findings
    assert (Problem.INSERTED, length + 1, length + 1) in findings


def test_record_that_is_put_in_between_with_all_hashes_but_the_links_is_named() -> None:
    records = chain(4)
    forged = records[1]._replace(seq=3, actor="bob", previous=records[1].hash).sealed()
    late = [record._replace(seq=record.seq + 1).sealed() for record in records[2:]]
    findings = found([*records[:2], forged, *late], Head(5, late[-1].hash))
    assert (Problem.INSERTED, 3, 3) in findings


def test_record_after_the_head_is_named() -> None:
    records = chain(4)
    assert found(records, end(records[:3])) == [(Problem.INSERTED, 4, 4)]


def test_records_out_of_order_are_named() -> None:
    records = chain(3)
    assert (Problem.INSERTED, 1, 1) in found([records[1], records[0], records[2]], end(records))


def test_chain_that_went_on_without_its_head_says_where() -> None:
    records = chain(2)
    again = records[1]._replace(seq=3, action=RESTARTED, previous=records[1].hash).sealed()
    assert found([*records, again], end([again])) == [(Problem.RESTARTED, 3, 3)]


@given(st.integers(1, 8), st.data())
def test_chain_that_was_made_anew_is_found_only_by_a_head_that_was_kept(
    length: int, data: st.DataObject
) -> None:
    records = chain(length)
    kept = end(records)
    place = data.draw(st.integers(0, length - 1))
    records[place] = records[place]._replace(actor="bob")
    forged = relinked(records)
    assert verify(forged, end(forged)).ok
    assert found(forged, end(forged), kept) == [(Problem.REMADE, length, length)]


@given(st.integers(2, 8), st.data())
def test_end_that_was_cut_off_with_the_head_is_found_only_by_a_head_that_was_kept(
    length: int, data: st.DataObject
) -> None:
    records = chain(length)
    left = records[: data.draw(st.integers(0, length - 1))]
    assert verify(left, end(left)).ok
    assert found(left, end(left), end(records)) == [(Problem.REMADE, length, length)]


def test_value_that_is_no_text_any_more_is_an_alteration() -> None:
    records: list[Any] = chain(2)
    records[0] = records[0]._replace(reason=b"\xff\xfe")
    assert found(records, end(records)) == [(Problem.ALTERED, 1, 1)]


def test_hash_is_of_every_field_and_the_same_for_ever() -> None:
    [record] = chain(1)
    assert record.hash == "f2403bae01f36266eac5977d342527b4fd6b4edb37d331f50488533d15cf8a41"


@pytest.mark.parametrize("text", ["", "3", "3:", "x:" + GENESIS, "03:" + GENESIS, "1:" + "g" * 64])
def test_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SEQ:HASH"):
        read_head(text)


def test_head_is_read_as_it_was_written() -> None:
    head = end(chain(3))
    assert read_head(f" {head}\n") == head


def test_difference_holds_only_what_differs() -> None:
    before, after = difference({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5})
    assert (before, after) == ({"b": 2, "c": 3}, {"b": 4, "d": 5})


def test_number_that_is_none_cannot_be_recorded() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"limit": float("nan")})


# --- who -----------------------------------------------------------------------------------


def test_actor_holds_inside_the_block_and_no_longer() -> None:
    assert current_actor().kind is ActorKind.APP_CODE
    with acting_as("ann", ActorKind.PERSON, "month end"):
        with acting_as("bob"):
            assert current_actor().name == "bob"
        assert current_actor() == ("ann", ActorKind.PERSON, "month end", True)
    assert current_actor().name == "app"


def test_act_that_is_done_later_is_still_whose_it_was() -> None:
    with acting_as("ann", ActorKind.PERSON, "month end"):
        later = signed(current_actor)
    assert later() == ("ann", ActorKind.PERSON, "month end", True)
    assert signed(current_actor)().name == "app"


# --- exports -------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_cell_that_a_spreadsheet_would_compute_is_made_text(first: str) -> None:
    reason = first + "HYPERLINK(0)"
    text = "".join(csv_text(chain(1, reason=reason)))
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert row["reason"] == "'" + reason


def test_hashes_can_be_computed_again_from_json_lines() -> None:
    records = chain(3, reason="naïve\u2028line")
    lines = "".join(json_lines(records)).split("\n")[:-1]
    for line, record in zip(map(json.loads, lines), records, strict=True):
        again = record._replace(
            at=round(datetime.fromisoformat(line["at"]).timestamp() * 1_000_000),
            reason=line["reason"],
            before_json=canonical(line["before"]),
            after_json=canonical(line["after"]),
        )
        assert again.digest() == line["hash"]


def test_report_shows_text_as_text_and_says_whether_the_chain_is_whole() -> None:
    records = chain(2, actor="<script>alert(1)</script>")
    for head, said in ((end(records), "is whole"), (end(records[:1]), "is broken")):
        page = "".join(
            report_page(
                records,
                counted(records),
                verify(records, head),
                since=None,
                until=datetime(2026, 4, 1, tzinfo=UTC),
                made_at=datetime(2026, 4, 2, tzinfo=UTC),
                timezone="America/New_York",
            )
        )
        assert said in page
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "2026-03-31 20:00:00 EDT" in page


def test_finding_says_what_it_found_in_a_sentence() -> None:
    records = chain(3)
    del records[1]
    assert verify(records, end(records)).findings == (
        Finding(Problem.MISSING, 2, 2, "record 2 is missing"),
    )


def test_chain_that_is_wrong_everywhere_is_told_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("closingbell.core.audit.MOST_NAMED", 50)
    records = chain(1_000)
    spoiled = [r._replace(actor="eve") for r in records]
    findings = verify(spoiled, end(records)).findings
    assert len(findings) == 51
    assert findings[-1][:3] == (Problem.ALTERED, 51, 1_000)
    assert findings[-1].sentence == "950 more places from record 51 to 1000 are altered"
    gaps = verify(records[::2], end(records)).findings
    assert sum(1 for one in gaps if one.problem is Problem.MISSING) == 51
    behind = verify(records, Head(1, records[0].hash)).findings
    assert {one.problem for one in behind} == {Problem.INSERTED}
    assert len(behind) == 51
