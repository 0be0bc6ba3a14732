"""The audit ledger: who did what; whether the chain is whole; copies of it for a period."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import (
    After,
    Limit,
    QueryInstant,
    QueryText,
    instant_of,
    micros_of,
)
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.audit import AuditRecord, Head, read_head
from closingbell.core.audit_export import counted, csv_text, json_lines, report_page
from closingbell.core.error import InvalidRequest
from closingbell.core.role import Role
from closingbell.wire.audit import AuditFinding, AuditInfo, AuditVerdict
from closingbell.wire.page import Page

router = APIRouter(prefix="/audit", tags=["audit"])

_App = Annotated[App, Depends(served_app)]
#: Findings that are told one by one.
_MOST_TOLD = 1_000
#: Text that is sent at once.
_PIECE = 64 * 1024


class ExportForm(StrEnum):
    """What an export is written as: for spreadsheets, for programs, for people."""

    CSV = "csv"
    JSONL = "jsonl"
    HTML = "html"


_TYPES = {
    ExportForm.CSV: "text/csv; charset=utf-8",
    ExportForm.JSONL: "application/jsonl; charset=utf-8",
    ExportForm.HTML: "text/html; charset=utf-8",
}
#: The report has its style within, and nothing else; it is nobody's page but its own.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)


@router.get(
    "",
    operation_id="list_audit_records",
    summary="Who did what, the newest first",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(422),
)
def list_audit_records(
    app: _App,
    actor: QueryText = None,
    action: Annotated[
        QueryText, Query(description="schedule.paused, or schedule. for all that begin so")
    ] = None,
    target_kind: QueryText = None,
    target_id: QueryText = None,
    since: QueryInstant = None,
    until: QueryInstant = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[AuditInfo]:
    """List a page of records."""
    first, end = micros_of(since, app), micros_of(until, app)
    query = {"list": "audit", "of": [actor, action, target_kind, target_id, first, end]}
    kinds = (int,) if first is None and end is None else (int, int)
    found = app.store.audit_pages.page(
        since=first,
        until=end,
        action=action,
        actor=actor,
        target_kind=target_kind,
        target_id=target_id,
        after=read_page_token(after, query, kinds),
        limit=limit,
    )
    return Page(
        items=[_info(record) for record in found.records],
        next=None if found.position is None else make_page_token(query, found.position),
        complete=found.complete,
    )


@router.get(
    "/verify",
    operation_id="verify_audit",
    summary="Whether any record was altered, removed, moved or put in, and which",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(422),
)
def verify_audit(
    app: _App,
    head: Annotated[
        list[str] | None,
        Query(max_length=100, description="SEQ:HASH of an earlier verdict, kept elsewhere"),
    ] = None,
) -> AuditVerdict:
    """Verify the whole chain: it reads every record, and takes seconds for a million."""
    verdict = app.audit.verify([_head(text) for text in head or []])
    return AuditVerdict(
        ok=verdict.ok,
        records=verdict.records,
        head=str(verdict.head),
        findings=[AuditFinding(**one._asdict()) for one in verdict.findings[:_MOST_TOLD]],
        finding_count=len(verdict.findings),
    )


@router.get(
    "/export",
    operation_id="export_audit",
    summary="The records of a period, the oldest first, as a file",
    dependencies=[needs(Role.ADMIN)],
    response_class=StreamingResponse,
    responses={
        **problems(422),
        200: {
            "description": "the file, sent as it is read",
            "content": {
                kind.partition(";")[0]: {"schema": {"type": "string"}} for kind in _TYPES.values()
            },
        },
    },
)
def export_audit(
    app: _App,
    format: Annotated[
        ExportForm, Query(description="for spreadsheets, for programs, or a report for people")
    ] = ExportForm.CSV,
    since: QueryInstant = None,
    until: QueryInstant = None,
) -> StreamingResponse:
    """Send the records of a period; `html` is a report to be read or printed.

    The report begins with the verdict on the whole chain, which takes seconds for a million.
    """
    first, end = instant_of(since, app), instant_of(until, app)
    # The store is asked before the answer begins: what cannot be read is a refusal, no torn file.
    app.audit.head()
    name = f"audit-{app.clock.now():%Y%m%dT%H%M%SZ}.{format.value}"
    shown = "inline" if format is ExportForm.HTML else "attachment"
    headers = {"Content-Disposition": f'{shown}; filename="{name}"'}
    if format is ExportForm.HTML:
        headers["Content-Security-Policy"] = REPORT_POLICY
    pieces = _gathered(_text(app, format, first, end))
    return StreamingResponse(pieces, media_type=_TYPES[format], headers=headers)


def _text(
    app: App, form: ExportForm, since: datetime | None, until: datetime | None
) -> Iterator[str]:
    records = app.audit.walk(since, until)
    if form is ExportForm.CSV:
        yield from csv_text(records)
    elif form is ExportForm.JSONL:
        yield from json_lines(records)
    else:
        yield from report_page(
            records,
            counted(app.audit.walk(since, until)),
            app.audit.verify(),
            since=since,
            until=until,
            made_at=app.clock.now(),
            timezone=app.settings.timezone,
        )


def _gathered(pieces: Iterable[str]) -> Iterator[bytes]:
    """Yield larger pieces: each one costs a turn of the event loop."""
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield "".join(held).encode()
            held, size = [], 0
    if held:
        yield "".join(held).encode()


def _head(text: str) -> Head:
    try:
        return read_head(text)
    except ValueError as problem:
        raise InvalidRequest([("query.head", str(problem))]) from problem


def _info(record: AuditRecord) -> AuditInfo:
    return AuditInfo(
        seq=record.seq,
        at=record.happened_at,
        actor=record.actor,
        actor_kind=record.actor_kind,
        action=record.action,
        target_kind=record.target_kind,
        target_id=record.target_id,
        reason=record.reason,
        before=record.before,
        after=record.after,
        previous_hash=record.previous,
        hash=record.hash,
    )
