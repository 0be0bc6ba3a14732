"""The front page of who is signed in: how the desk stands, in plain HTML that needs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import quote
from zoneinfo import ZoneInfo

from closingbell.api.security.origin import csrf_token
from closingbell.api.security.page import page
from closingbell.core.clock import from_micros
from closingbell.simulation.page.markup import Content, Markup, tag
from closingbell.wire.desk import PortfolioInfo
from closingbell.wire.figure import Overview

if TYPE_CHECKING:
    from closingbell.core.ledger import BacktestRecord
    from closingbell.core.run import Run

#: Seconds after which a browser asks for it again.
_REFRESH_S = 5


def front_page(
    name: str,
    role: str,
    secret: str,
    overview: Overview,
    portfolios: Sequence[PortfolioInfo],
    runs: Sequence[Run],
    backtests: Sequence[BacktestRecord],
) -> str:
    """Return the page.

    Args:
        name: who is signed in.
        role: what they may do.
        secret: what their cookie holds.
        overview: how the service stands.
        portfolios: of the accounts.
        runs: the latest ones, the newest first.
        backtests: the latest ones, the newest first.
    """
    zone = ZoneInfo(overview.timezone)
    return page(
        "The desk",
        tag("h1", f"The desk, {_when(overview.at, zone)}"),
        _figures(overview),
        [_portfolio(portfolio) for portfolio in portfolios],
        _section(
            "Next firings",
            _table(
                ("when", "task", "why"),
                [(_when(f.fire_at, zone), f.task, f.explanation) for f in overview.next_firings],
                "No schedule has a next firing.",
            ),
        ),
        _section(
            "Latest runs",
            _table(
                ("submitted", "task", "state", "run"),
                [(_when(r.submitted_at, zone), r.task, r.state.value, _run(r.id)) for r in runs],
                "Nothing has run yet: closingbell submit, or POST /api/v1/runs.",
            ),
        ),
        _section(
            "Backtests",
            _table(
                ("finished", "name", "report"),
                [
                    (_when(from_micros(b.finished_at), zone), b.name, _backtest(b.id))
                    for b in backtests
                ],
                "None is stored: closingbell backtest run makes one.",
            ),
        )
        if backtests
        else None,
        _foot(name, role, secret),
        wide=True,
        refresh_s=_REFRESH_S,
    )


def _figures(overview: Overview) -> Markup:
    counts = overview.counts
    told = {
        "running": counts.running,
        "pending": counts.pending,
        "held for people": counts.held,
        "late": overview.late_runs + overview.late_schedules,
        "failed in 24 h": overview.day.failed,
        "open alerts": sum(overview.open_alerts.values()),
        "workers": overview.workers.alive,
    }
    return _cards([(label, f"{value:,}") for label, value in told.items()])


def _portfolio(portfolio: PortfolioInfo) -> Markup:
    figures = [
        ("value", _money(portfolio.total_value)),
        ("cash", _money(portfolio.cash)),
        ("realised", _money(portfolio.realized_pnl, sign=True)),
        ("unrealised", _money(portfolio.unrealized_pnl, sign=True)),
        ("below its peak", _percent(portfolio.drawdown)),
    ]
    rows = [
        (
            p.symbol,
            _money(p.quantity),
            _money(p.average_price),
            _money(p.price),
            _money(p.value),
            _money(p.unrealized_pnl, sign=True),
        )
        for p in portfolio.positions
    ]
    heads = ("symbol", "quantity", "average price", "price", "value", "unrealised")
    return _section(
        f"Account {portfolio.account}, {portfolio.currency}",
        _cards(figures),
        _table(heads, rows, "It holds nothing.", numbers=True),
    )


def _foot(name: str, role: str, secret: str) -> Markup:
    return tag(
        "footer",
        tag("p", f"{name}, {role}. ", tag("a", "The API", href="/openapi.json")),
        tag(
            "form",
            tag("input", type="hidden", name="csrf_token", value=csrf_token(secret)),
            tag("button", "Sign out", type="submit", class_="plain"),
            method="post",
            action="/sign-out",
        ),
    )


def _section(title: str, *content: Content) -> Markup:
    return tag("section", tag("h2", title), content)


def _cards(figures: Iterable[tuple[str, str]]) -> Markup:
    cards = [tag("div", tag("dt", label), tag("dd", value)) for label, value in figures]
    return tag("dl", cards, class_="cards")


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[Content]], empty: str, *, numbers: bool = False
) -> Markup:
    if not rows:
        return tag("p", empty, class_="muted")
    head = tag("tr", [tag("th", text, scope="col") for text in heads])
    body = [tag("tr", [tag("td", cell) for cell in row]) for row in rows]
    table = tag(
        "table", tag("thead", head), tag("tbody", body), class_="numbers" if numbers else None
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=heads[0])


def _run(run_id: str) -> Markup:
    return tag("a", run_id[-8:], href=f"/api/v1/runs/{quote(run_id, safe='')}")


def _backtest(backtest_id: str) -> Markup:
    return tag("a", "report", href=f"/api/v1/backtests/{quote(backtest_id, safe='')}/page")


def _when(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _money(amount: Decimal | None, *, sign: bool = False) -> str:
    if amount is None:
        return "not known"
    return f"{amount:+,.2f}" if sign else f"{amount:,.2f}"


def _percent(fraction: Decimal | None) -> str:
    return "not known" if fraction is None else f"{fraction:.2%}"
