"""Audit records as text: for spreadsheets, for programs, and for people to read."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from closingbell.core.audit import AuditRecord, Verdict

#: With these a spreadsheet takes what follows for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

_COLUMNS = (
    "seq",
    "at",
    "actor",
    "actor_kind",
    "action",
    "target_kind",
    "target_id",
    "reason",
    "before",
    "after",
    "previous_hash",
    "hash",
)

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: Canvas; }
code { font-size: .85em; }
del { opacity: .7; }
ins { text-decoration: none; font-weight: 600; }
.whole { border-left: .3rem solid #2a7; padding-left: .8rem; }
.broken { border-left: .3rem solid #c33; padding-left: .8rem; }
@media print { th { position: static; } body { margin: 0; max-width: none; } }
"""


def record_shape(record: AuditRecord) -> dict[str, Any]:
    """Return a record as a JSON value; `at` is ISO text, in UTC."""
    values = (
        record.seq,
        record.happened_at.isoformat(),
        *record[2:8],
        record.before,
        record.after,
        record.previous,
        record.hash,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def csv_text(records: Iterable[AuditRecord]) -> Iterator[str]:
    """Yield a CSV file (RFC 4180), piece by piece.

    A cell that a spreadsheet would take for a formula has an apostrophe before it.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)

    def line(cells: Sequence[Any]) -> str:
        writer.writerow(cells)
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text

    yield line(_COLUMNS)
    for record in records:
        shape = record_shape(record)
        shape["before"], shape["after"] = record.before_json, record.after_json
        yield line([_harmless(value) for value in shape.values()])


def json_lines(records: Iterable[AuditRecord]) -> Iterator[str]:
    """Yield JSON lines, one record each; their hashes can be computed again."""
    for record in records:
        yield json.dumps(record_shape(record), ensure_ascii=False, separators=(",", ":")) + "\n"


def counted(records: Iterable[AuditRecord]) -> Counter[tuple[str, str, str]]:
    """Return how often each actor did each action, by (actor, kind, action)."""
    return Counter((record.actor, record.actor_kind, record.action) for record in records)


def report_page(
    records: Iterable[AuditRecord],
    counts: Counter[tuple[str, str, str]],
    verdict: Verdict,
    *,
    since: datetime | None,
    until: datetime | None,
    made_at: datetime,
    timezone: str,
) -> Iterator[str]:
    """Yield a page for people, piece by piece; it fetches nothing and runs no script.

    Args:
        records: of the period, the oldest first.
        counts: what `counted` said of them.
        verdict: what became of the verification of the whole chain.
        since: where the period begins; None = at the first record.
        until: before which it ends; None = at the last.
        made_at: when the report was made.
        timezone: in which people are told times.
    """
    zone = ZoneInfo(timezone)
    begin = "the first record" if since is None else _told(since, zone)
    end = "the last" if until is None else _told(until, zone)
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit report</title><style>{_STYLE}</style></head><body>"
        f"<h1>Audit report</h1><p>From {escape(begin)} to {escape(end)}; "
        f"{counts.total()} records; made {escape(_told(made_at, zone))}.</p>\n"
    )
    yield _verdict(verdict)
    yield "<h2>Who did what, how often</h2>" + _heading("actor", "kind", "action", "times")
    for (actor, kind, action), times in sorted(counts.items()):
        yield _row(escape(actor), escape(kind), escape(action), str(times))
    yield "</table>\n<h2>Every act</h2>"
    yield _heading("no.", "when", "who", "what", "of what", "why", "change")
    for record in records:
        yield _row(
            str(record.seq),
            escape(_told(record.happened_at, zone)),
            f"{escape(record.actor)}<br><small>{escape(record.actor_kind)}</small>",
            escape(record.action),
            f"{escape(record.target_kind)} <code>{escape(record.target_id)}</code>",
            escape(record.reason or ""),
            _change(record.before, record.after),
        )
    yield "</table></body></html>\n"


def _verdict(verdict: Verdict) -> str:
    head = (
        f"<p>It ends at record {verdict.head.seq} with the hash <code>{verdict.head.hash}</code>."
    )
    if verdict.ok:
        return (
            f'<div class="whole"><p>The chain of all {verdict.records} records is whole.</p>'
            f"{head}</p></div>\n"
        )
    lines = "".join(f"<li>{escape(finding.sentence)}</li>" for finding in verdict.findings)
    return f'<div class="broken"><p>The chain is broken:</p><ul>{lines}</ul>{head}</p></div>\n'


def _change(before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
        return "<br>".join(
            f"{escape(name)}: <del>{_value(before.get(name))}</del> "
            f"&rarr; <ins>{_value(after.get(name))}</ins>"
            for name in names
        )
    parts = []
    if before is not None:
        parts.append(f"<del>{_value(before)}</del>")
    if after is not None:
        parts.append(f"<ins>{_value(after)}</ins>")
    return " ".join(parts)


def _value(value: Any) -> str:
    return f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>"


def _heading(*names: str) -> str:
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>\n"


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _told(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
