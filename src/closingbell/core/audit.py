"""Audit: who did what, in a chain in which every record carries the hash of the one before.

Whoever can write the database can also make the whole chain anew, head and all. Against that
helps only a head that was kept elsewhere: `verify` takes such heads as `known`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from closingbell.core.clock import from_micros

#: What the first record carries as the hash before it.
GENESIS = "0" * 64

#: The action of a record that was made when the head of the chain was gone.
RESTARTED = "audit.restarted"

#: Of which form the hashed text is; another form would be another word.
_FORM = "closingbell audit 1"

# Made once: each act of each person passes here. What a hand has put into a column may be no JSON
# value.
_hashed = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=repr).encode
_canonical = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode

#: Among so many damaged records it is looked which is which; beyond, each is only named.
_MOST_COMPARED = 200
#: So many records are named one by one; what else is wrong is counted, whatever the chain's length.
MOST_NAMED = 10_000


class AuditRecord(NamedTuple):
    """One act.

    Attributes:
        seq: 1, 2, 3, ... without gaps.
        at: when, in microseconds since the epoch.
        actor: who.
        actor_kind: how they came in; one of `actor.ActorKind`.
        action: what, such as "schedule.paused".
        target_kind: of what, such as "schedule".
        target_id: of which.
        reason: why, if somebody said.
        before_json: how it stood, as canonical JSON text; None = it was not there.
        after_json: how it stands, likewise.
        previous: the hash of the record before.
        hash: SHA-256 of all the fields above; 64 hexadecimal digits.
    """

    seq: int
    at: int
    actor: str
    actor_kind: str
    action: str
    target_kind: str
    target_id: str
    reason: str | None
    before_json: str | None
    after_json: str | None
    previous: str
    hash: str = ""

    @property
    def happened_at(self) -> datetime:
        """When, aware, in UTC."""
        return from_micros(self.at)

    @property
    def before(self) -> Any:
        """How it stood; None = it was not there."""
        return None if self.before_json is None else json.loads(self.before_json)

    @property
    def after(self) -> Any:
        """How it stands; None = it is not there."""
        return None if self.after_json is None else json.loads(self.after_json)

    def digest(self) -> str:
        """Return the hash that this record must have."""
        return hashlib.sha256(_hashed([_FORM, *self[:-1]]).encode()).hexdigest()

    def sealed(self) -> AuditRecord:
        """Return the record with its hash."""
        return self._replace(hash=self.digest())


class Head(NamedTuple):
    """Where a chain ends.

    Attributes:
        seq: of the last record; 0 = there is none.
        hash: of the last record.
    """

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


START = Head(0, GENESIS)


def read_head(text: str) -> Head:
    """Return the head that `str(head)` wrote.

    Raises:
        ValueError: the text is no head.
    """
    match = re.fullmatch(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})", text.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"{text[:100]!r} is no head: expected SEQ:HASH as `audit verify` shows it")
    return Head(int(match[1]), match[2])


def canonical(value: Any) -> str | None:
    """Return a JSON value as the one text that stands for it; None stays None.

    Raises:
        TypeError: JSON has no such value.
        ValueError: it holds a number that is none.
    """
    if value is None:
        return None
    return _canonical(value)


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what differs between two states: as it was, and as it is."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return (
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
    )


class Problem(StrEnum):
    """What is wrong with a place in the chain."""

    ALTERED = "altered"
    INSERTED = "inserted"
    MISSING = "missing"
    MOVED = "moved"
    UNLINKED = "unlinked"
    CUT = "cut"
    HEAD = "head"
    RESTARTED = "restarted"
    REMADE = "remade"


class Finding(NamedTuple):
    """What is wrong, and where.

    Attributes:
        problem: what kind.
        seq: the record; of missing ones the first.
        until: of missing ones the last, else `seq`.
        sentence: the same for people.
    """

    problem: Problem
    seq: int
    until: int
    sentence: str


class Verdict(NamedTuple):
    """What became of a verification.

    Attributes:
        records: how many were read.
        head: where the chain ends, as the records say.
        findings: what is wrong, by place; none = the chain is whole.
    """

    records: int
    head: Head
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    records: Iterable[AuditRecord], head: Head | None, known: Iterable[Head] = ()
) -> Verdict:
    """Check a chain, and say what is wrong with it.

    Args:
        records: all of them, in the order of their numbers.
        head: where the chain ends, as it is kept beside the records; None = that is gone.
        known: heads of earlier days that were kept elsewhere.
    """
    walk = _Walk()
    wanted = {one.seq: one.hash for one in known}
    findings: list[Finding] = []
    for record in records:
        walk.step(record, head)
        if record.seq in wanted and wanted[record.seq] == record.hash:
            del wanted[record.seq]
    findings += walk.findings()
    findings += _end_findings(walk, head)
    for seq, value in wanted.items():
        if (seq, value) != START:
            findings.append(
                _finding(
                    Problem.REMADE,
                    seq,
                    f"record {seq} is not the one whose hash was kept elsewhere ({value[:12]}...):"
                    " the chain was made anew, or that head is of another store",
                )
            )
    findings.sort(key=lambda finding: (finding.seq, finding.until, finding.problem))
    return Verdict(walk.count, walk.last, tuple(findings))


class _Walk:
    """What is known of a chain, record by record."""

    def __init__(self) -> None:
        self.count = 0
        self.last = START
        self.restarted = False
        self._before_last = ""
        self._altered: dict[int, AuditRecord] = {}
        self._gaps: list[tuple[int, int]] = []
        self._other: list[Finding] = []
        #: What is beyond what is named: how many, the first and the last, by problem.
        self._more: dict[Problem, tuple[int, int, int]] = {}
        self._last_altered = 0

    def step(self, record: AuditRecord, head: Head | None) -> None:
        """Look at the next record."""
        self.count += 1
        seq, last = record.seq, self.last
        if seq <= last.seq:
            self._say(Problem.INSERTED, seq, f"record {seq} stands after record {last.seq}")
            return
        gap = seq > last.seq + 1
        if gap:
            self._miss(last.seq + 1, seq - 1)
        if record.digest() != record.hash:
            self._last_altered = seq
            if len(self._altered) < MOST_NAMED:
                self._altered[seq] = record
            else:
                self._count(Problem.ALTERED, seq, seq)
        elif record.previous != last.hash and not gap:
            self._unlinked(record)
        if record.action == RESTARTED:
            self.restarted = True
            self._say(
                Problem.RESTARTED,
                seq,
                f"before record {seq} the head was gone: records at the end may have gone with it",
            )
        if head is not None and seq > head.seq:
            self._say(
                Problem.INSERTED,
                seq,
                f"record {seq} stands after the head, which ends the chain at {head.seq}",
            )
        self._before_last, self.last = last.hash, Head(seq, record.hash)

    def _unlinked(self, record: AuditRecord) -> None:
        seq = record.seq
        if record.previous == self._before_last:
            text = f"record {seq - 1} was put between {seq - 2} and {seq}"
            self._say(Problem.INSERTED, seq - 1, text)
        elif seq - 1 != self._last_altered:
            text = (
                f"record {seq} does not follow record {seq - 1}: one of the two was written anew"
                if seq > 1
                else "record 1 does not begin the chain: it was written anew"
            )
            self._say(Problem.UNLINKED, seq, text)

    def findings(self) -> Iterator[Finding]:
        """Say what is wrong with the records, moved ones told from altered ones."""
        yield from self._other
        gone = {
            place for first, last in self._gaps for place in range(first, min(last, first + 9) + 1)
        }
        candidates = sorted({*self._altered, *gone})[:_MOST_COMPARED]
        for seq, record in self._altered.items():
            near = (*candidates, seq - 1, seq + 1)
            was = next((n for n in near if record._replace(seq=n).digest() == record.hash), None)
            if was is None:
                text = f"record {seq} ({record.action}) says something else than was recorded"
                yield _finding(Problem.ALTERED, seq, text)
            else:
                yield _finding(Problem.MOVED, seq, f"record {seq} was record {was}")
        for first, last in self._gaps:
            yield Finding(Problem.MISSING, first, last, f"{_span(first, last)} missing")
        for problem, (count, first, last) in self._more.items():
            text = f"{count} more places from record {first} to {last} are {problem}"
            yield Finding(problem, first, last, text)

    def _miss(self, first: int, last: int) -> None:
        if len(self._gaps) < MOST_NAMED:
            self._gaps.append((first, last))
        else:
            self._count(Problem.MISSING, first, last)

    def _say(self, problem: Problem, seq: int, sentence: str) -> None:
        if len(self._other) < MOST_NAMED:
            self._other.append(_finding(problem, seq, sentence))
        else:
            self._count(problem, seq, seq)

    def _count(self, problem: Problem, first: int, last: int) -> None:
        count, begin, _ = self._more.get(problem, (0, first, last))
        self._more[problem] = count + 1, begin, last


def _end_findings(walk: _Walk, head: Head | None) -> Iterator[Finding]:
    last = walk.last
    if head is None:
        if walk.count:
            text = f"the head is gone: records after {last.seq} may have gone with it"
            yield _finding(Problem.HEAD, last.seq, text)
    elif head.seq > last.seq:
        first = last.seq + 1
        text = f"{_span(first, head.seq)} missing: the end was cut off"
        yield Finding(Problem.CUT, first, head.seq, text)
    elif head.seq == last.seq and head.hash != last.hash:
        text = f"the head has another hash than record {last.seq}: one of the two was written anew"
        yield _finding(Problem.HEAD, last.seq, text)


def _span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _finding(problem: Problem, seq: int, sentence: str) -> Finding:
    return Finding(problem, seq, seq, sentence)
