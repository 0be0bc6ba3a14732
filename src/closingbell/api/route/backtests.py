"""Stored backtests: listed, told as JSON, shown as pages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, Response

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, PathText
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.ledger import BacktestRecord
from closingbell.core.role import Role
from closingbell.wire.backtest import BacktestInfo, BacktestReport
from closingbell.wire.page import Page

router = APIRouter(prefix="/backtests", tags=["backtests"], dependencies=[needs(Role.VIEWER)])

_App = Annotated[App, Depends(served_app)]
_SECOND = 1_000_000


@router.get(
    "",
    operation_id="list_backtests",
    summary="Stored backtests, the newest first",
    responses=problems(422),
)
def list_backtests(app: _App, limit: Limit = 100, after: After = None) -> Page[BacktestInfo]:
    """List a page of backtests."""
    query = {"list": "backtests"}
    position = read_page_token(after, query, (int, str))
    found = app.store.backtests.page(limit + 1, position)
    page = found[:limit]
    more = len(found) > limit
    return Page(
        items=[BacktestInfo(**_shape(record)) for record in page],
        next=make_page_token(query, (page[-1].finished_at, page[-1].id)) if more else None,
    )


@router.get(
    "/{backtest_id}",
    operation_id="get_backtest",
    summary="A backtest with its whole report",
    response_model=BacktestReport,
    responses=problems(404, 422),
)
def get_backtest(app: _App, backtest_id: PathText) -> Response:
    """Return a backtest; a unique beginning of its id is enough."""
    import msgspec

    from closingbell.simulation.report import stored_document

    record = app.store.backtests.get(backtest_id)
    body = {
        **_shape(record),
        "parameters": record.summary["parameters"],
        # As it is stored: a year of minutes is not read only to be written again.
        "report": msgspec.Raw(stored_document(app.store.backtests, record.id)),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


@router.get(
    "/{backtest_id}/page",
    operation_id="get_backtest_page",
    summary="A backtest as one page for people",
    response_class=HTMLResponse,
    responses=problems(404, 422),
)
def get_backtest_page(app: _App, backtest_id: PathText) -> HTMLResponse:
    """Return the page that `closingbell backtest html` writes."""
    from closingbell.simulation.page.document import page_policy
    from closingbell.simulation.page.report_page import report_page
    from closingbell.simulation.report import read_report

    page = report_page(read_report(app.store.backtests, backtest_id))
    # An origin of its own: whatever the page's script were made to do, it has no session here.
    policy = f"{page_policy()}; frame-ancestors 'self'; sandbox allow-scripts"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _shape(record: BacktestRecord) -> dict[str, Any]:
    summary = record.summary
    return {
        "id": record.id,
        "name": record.name,
        "made_at": from_micros(record.finished_at),
        "took_s": (record.finished_at - record.started_at) / _SECOND,
        "start": from_micros(summary["start"]),
        "end": from_micros(summary["end"]),
        "seed": summary["seed"],
        "account": summary["account"],
        "currency": summary["currency"],
        "metrics": {
            name: from_micros(value) if name.endswith("_at") and value is not None else value
            for name, value in summary["metrics"].items()
        },
        "trades": summary["trades"],
        "tasks": summary["tasks"],
    }
