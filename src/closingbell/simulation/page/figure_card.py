"""Cards and tiles of metrics; each says its convention when it is pointed at."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros
from closingbell.simulation.account_report import AccountReport
from closingbell.simulation.figure import CURVE_GROUPS, FIGURES, GROUPS, Figure, figures_of
from closingbell.simulation.figure_text import day_text, figure_text, percent
from closingbell.simulation.metrics import Metrics
from closingbell.simulation.page.markup import Content, Markup, tag

_BY_NAME = {figure.name: figure for figure in FIGURES}
#: The instant of a day belongs beside its return, and not on a line of its own.
_BESIDE = {"best_day": "best_day_at", "worst_day": "worst_day_at"}
#: Shown in the colour of gain and loss.
_SIGNED = {
    "total_return", "cagr", "cagr_calendar", "profit", "best_day", "worst_day", "expectancy",
    "average_win", "average_loss", "best_trip", "worst_trip", "max_drawdown", "var_95", "var_99",
    "cvar_95", "cvar_99",
}  # fmt: skip


def tiles(account: AccountReport) -> Markup:
    """Return the figures that people look for first."""
    metrics, other = account.metrics, account.benchmark_metrics
    peak, trough = metrics.max_drawdown_peak_at, metrics.max_drawdown_trough_at
    fall = (
        f"{_month(peak, account)} to {_month(trough, account)}"
        if peak is not None and trough is not None
        else "never below its peak"
    )
    worth = "" if metrics.final_value is None else f"{metrics.final_value:,.2f} {account.currency}"
    made = [
        ("total_return", _beside(other, "total_return") or worth),
        ("cagr", _beside(other, "cagr") or f"over {metrics.days / 365.25:.1f} years"),
        ("sharpe", _beside(other, "sharpe") or f"Sortino {_text('sortino', metrics)}"),
        ("max_drawdown", fall),
        ("volatility", _beside(other, "volatility") or f"VaR 95 % {_text('var_95', metrics)}"),
        ("win_rate", f"of {metrics.round_trips:,} round trips"),
    ]
    return tag("div", [_tile(name, metrics, note) for name, note in made], class_="tiles")


def cards(account: AccountReport) -> Markup:
    """Return every figure, a card for each group."""
    return tag("div", [_card(group, account) for group in GROUPS], class_="cards")


def named(figure: Figure) -> Markup:
    """Return a metric's label, which tells its convention when it is pointed at or focused."""
    tip = tag("span", figure.convention, class_="tip", role="tooltip")
    return tag("span", figure.label, tip, class_="named", tabindex="0")


def conventions() -> Markup:
    """Return how every metric is made."""
    rows = [tag("div", tag("dt", figure.label), tag("dd", figure.convention)) for figure in FIGURES]
    return tag("dl", rows, class_="facts conventions")


def _month(at: int, account: AccountReport) -> str:
    return f"{from_micros(at).astimezone(ZoneInfo(account.timezone)):%b %Y}"


def _tile(name: str, metrics: Metrics, note: str) -> Markup:
    figure, value = _BY_NAME[name], getattr(metrics, name)
    return tag(
        "div",
        tag("div", named(figure), class_="label"),
        tag("div", figure_text(figure, value), class_=f"value {_style(figure, value)}"),
        tag("div", note, class_="note"),
        class_="tile",
    )


def _card(group: str, account: AccountReport) -> Markup:
    other = account.benchmark_metrics if group in CURVE_GROUPS else None
    rows = []
    for figure in figures_of(group):
        value = getattr(account.metrics, figure.name)
        if figure.name in _BESIDE.values() or (figure.name == "emptied_at" and value is None):
            continue
        compared: Content = None
        if other is not None:
            compared = tag("td", _text(figure.name, other, account.timezone), class_="other")
        text = figure_text(figure, value, account.timezone)
        beside = _day_beside(figure.name, account)
        rows.append(
            tag(
                "tr",
                tag("th", named(figure), scope="row"),
                tag("td", text, beside, class_=_style(figure, value)),
                compared,
            )
        )
    heads = None
    if other is not None and account.benchmark is not None:
        benchmark = tag("th", "Benchmark", scope="col", title=account.benchmark.name)
        heads = tag("thead", tag("tr", tag("td"), tag("th", account.name, scope="col"), benchmark))
    table = tag("table", heads, tag("tbody", rows))
    return tag("section", tag("h3", group), table, class_="card")


def _day_beside(name: str, account: AccountReport) -> Content:
    instant = getattr(account.metrics, _BESIDE[name]) if name in _BESIDE else None
    if instant is None:
        return None
    return tag("small", f" {day_text(instant, account.timezone)}")


def _style(figure: Figure, value: object) -> str:
    if figure.name not in _SIGNED or (not isinstance(value, (int, float)) and not value):
        return ""
    number = float(str(value))
    return "gain" if number > 0 else "loss" if number < 0 else ""


def _text(name: str, metrics: Metrics, timezone: str = "UTC") -> str:
    return figure_text(_BY_NAME[name], getattr(metrics, name), timezone)


def _beside(other: Metrics | None, name: str) -> str:
    return "" if other is None else f"benchmark {_text(name, other)}"


def share_bar(parts: list[tuple[str, int]]) -> Markup:
    """Return counts as one bar, each part in the colour of its class."""
    whole = sum(count for _, count in parts) or 1
    return tag(
        "span",
        [
            tag("i", class_=style, style=f"width:{percent(count / whole, 2)}")
            for style, count in parts
            if count
        ],
        class_="share",
        aria_hidden="true",
    )
