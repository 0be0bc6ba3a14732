"""What the page says about one account."""

from __future__ import annotations

from collections.abc import Sequence

from closingbell.core.entry import Entry
from closingbell.simulation import distribution
from closingbell.simulation.account_report import AccountReport
from closingbell.simulation.calendar_return import monthly_returns
from closingbell.simulation.drawdown import drawdowns_of
from closingbell.simulation.figure_text import (
    day_text,
    exact,
    instant_text,
    percent,
    price_text,
    two_decimals,
)
from closingbell.simulation.growth import Growth, growth_of
from closingbell.simulation.page.chart import Band, Curve, time_chart
from closingbell.simulation.page.figure_card import cards, tiles
from closingbell.simulation.page.heat_map import heat_map
from closingbell.simulation.page.histogram import histogram
from closingbell.simulation.page.markup import Content, Markup, joined, tag
from closingbell.simulation.page.scale import short_number
from closingbell.simulation.page.table import Column, both_ends, data_table, signed

#: Returns of a rolling window: half a year of sessions.
ROLLING = 126
_DEEPEST = 5


def overview(account: AccountReport) -> Markup:
    """Return tiles and charts."""
    growth = growth_of(account.equity)
    return joined(
        tiles(account),
        _equity_chart(account),
        _underwater_chart(account),
        tag("div", _months(account, growth), _distribution(account, growth), class_="pair uneven"),
        tag("div", *_rolling(account, growth), class_="pair"),
        tag("div", _exposure_chart(account), _deepest(account, growth), class_="pair"),
    )


def figures(account: AccountReport) -> Markup:
    """Return every metric."""
    notes = [tag("p", note, class_="note") for note in account.notes]
    return joined(cards(account), notes)


def trading(account: AccountReport) -> Markup:
    """Return what is held at the end, what was traded, and what was opened and closed."""
    return joined(
        tag("h3", "Held at the end"),
        _positions(account),
        tag("h3", f"Trades ({len(account.trades):,})"),
        _trades(account),
        tag("h3", f"Round trips ({len(account.round_trips):,})"),
        _round_trips(account),
    )


# --- charts ----------------------------------------------------------------------------


def _equity_chart(account: AccountReport) -> Markup:
    at = [point.at for point in account.equity]
    curves = [Curve(account.name, "main", [float(p.value) for p in account.equity], filled=True)]
    if account.benchmark is not None:
        by_instant = {point.at: float(point.value) for point in account.benchmark.points}
        curves.append(Curve(account.benchmark.name, "other", [by_instant.get(i) for i in at]))
    metrics = account.metrics
    bands = []
    if metrics.max_drawdown_peak_at is not None and metrics.max_drawdown_trough_at is not None:
        bands.append(
            Band(metrics.max_drawdown_peak_at, metrics.max_drawdown_trough_at, "maximum drawdown")
        )
    first, last = metrics.initial_value, metrics.final_value
    said = (
        f"From {two_decimals(first)} to {two_decimals(last)} {account.currency}."
        if first is not None and last is not None
        else "No points."
    )
    return time_chart(
        f"Equity, {account.currency}",
        said,
        at,
        curves,
        timezone=account.timezone,
        label=short_number,
        unit="money",
        steep=True,
        bands=bands,
        note="Shaded: the way down of the maximum drawdown." if bands else None,
    )


def _underwater_chart(account: AccountReport) -> Markup:
    deepest = account.metrics.max_drawdown
    return time_chart(
        "Below the peak",
        f"Deepest {percent(deepest)}." if deepest is not None else "Nothing to measure.",
        [point.at for point in account.equity],
        [Curve("drawdown", "loss", [point.drawdown for point in account.equity], filled=True)],
        timezone=account.timezone,
        label=lambda value: percent(value, 0),
        unit="percent",
        height="low",
        zero=True,
    )


def _exposure_chart(account: AccountReport) -> Markup:
    used = [
        float(point.exposure / point.value) if point.value > 0 else None for point in account.equity
    ]
    average = account.metrics.exposure_average
    return time_chart(
        "Exposure, of the account's value",
        f"On average {percent(average)}." if average is not None else "Nothing to measure.",
        [point.at for point in account.equity],
        [Curve("exposure", "main", used, filled=True)],
        timezone=account.timezone,
        label=lambda value: percent(value, 0),
        unit="percent",
        height="small",
        zero=True,
    )


def _rolling(account: AccountReport, growth: Growth) -> list[Markup]:
    count = len(growth.returns) - ROLLING + 1
    if count < 2:
        return []
    windows = [growth.returns[n : n + ROLLING] for n in range(count)]
    at = growth.at[ROLLING:]
    periods = account.metrics.periods_per_year
    free = account.metrics.risk_free
    sharpe = [distribution.sharpe(window, periods, free) for window in windows]
    spread = [distribution.volatility(window, periods) for window in windows]
    window = f"{ROLLING} periods"
    return [
        time_chart(
            f"Sharpe ratio, {window}",
            f"Of the last {window} at each point.",
            at,
            [Curve("Sharpe ratio", "main", sharpe)],
            timezone=account.timezone,
            label=lambda value: f"{value:.1f}",
            unit="ratio",
            height="small",
            zero=True,
        ),
        time_chart(
            f"Volatility, {window}",
            f"Annual, of the last {window} at each point.",
            at,
            [Curve("volatility", "main", spread, filled=True)],
            timezone=account.timezone,
            label=lambda value: percent(value, 0),
            unit="percent",
            height="small",
            zero=True,
        ),
    ]


def _months(account: AccountReport, growth: Growth) -> Markup:
    months = monthly_returns(growth, account.timezone)
    others = (
        monthly_returns(growth_of(account.benchmark.points), account.timezone)
        if account.benchmark is not None
        else []
    )
    body: Content = (
        heat_map(months, others) if months else tag("p", "No month yet.", class_="empty")
    )
    return tag("section", tag("h3", "Months"), body, class_="panel")


def _distribution(account: AccountReport, growth: Growth) -> Markup:
    marks = [("VaR 95", account.metrics.var_95), ("VaR 99", account.metrics.var_99)]
    return histogram("Daily returns", growth.returns, marks)


def _deepest(account: AccountReport, growth: Growth) -> Markup:
    falls = sorted(drawdowns_of(growth), key=lambda fall: fall.depth)[:_DEEPEST]
    zone = account.timezone
    rows = [
        (
            signed(percent(fall.depth), fall.depth),
            day_text(fall.peak_at, zone),
            day_text(fall.trough_at, zone),
            "not yet" if fall.recovered_at is None else day_text(fall.recovered_at, zone),
            f"{fall.days:,}",
        )
        for fall in falls
    ]
    columns = (
        Column("Depth", number=True),
        Column("Peak"),
        Column("Trough"),
        Column("Recovered"),
        Column("Days", number=True),
    )
    table = data_table("Deepest drawdowns", columns, rows, empty="It never fell below its peak.")
    return tag("section", tag("h3", "Deepest drawdowns"), table, class_="panel")


# --- tables ----------------------------------------------------------------------------


def _positions(account: AccountReport) -> Markup:
    rows: list[Sequence[Content]] = [
        (
            each.symbol,
            exact(each.quantity),
            price_text(round(each.average_price, 8)),
            "-" if each.price is None else price_text(each.price),
            "-" if each.value is None else two_decimals(each.value),
            "-"
            if each.unrealized is None
            else signed(two_decimals(each.unrealized), each.unrealized),
            signed(two_decimals(each.realized), each.realized),
            each.currency,
        )
        for each in account.positions
    ]
    rows += [
        ("cash", "", "", "", two_decimals(amount), "", "", currency)
        for currency, amount in account.cash.items()
    ]
    columns = (
        Column("Symbol"),
        Column("Quantity", number=True),
        Column("Average price", number=True),
        Column("Price", number=True),
        Column("Value", number=True),
        Column("Unrealised", number=True),
        Column("Realised", number=True),
        Column("Currency"),
    )
    return data_table("Held at the end", columns, rows, empty="Nothing is held.")


def _trades(account: AccountReport) -> Markup:
    shown, note = both_ends(account.trades, "trades")
    rows = [_trade_row(trade, account) for trade in shown]
    columns = (
        Column("Time"),
        Column("Side"),
        Column("Symbol"),
        Column("Quantity", number=True),
        Column("Price", number=True),
        Column("Amount", number=True),
        Column("Fee", number=True),
        Column("Task"),
    )
    table = data_table("Trades", columns, rows, empty="Nothing was traded.")
    return joined(tag("p", note, class_="note") if note else None, table)


def _trade_row(trade: Entry, account: AccountReport) -> tuple[Content, ...]:
    buys = trade.quantity > 0
    currency = "" if trade.currency == account.currency else f" {trade.currency}"
    return (
        instant_text(trade.at, account.timezone),
        tag("span", "buy" if buys else "sell", class_="side buy" if buys else "side sell"),
        trade.symbol or "",
        exact(abs(trade.quantity)),
        price_text(trade.price),
        two_decimals(abs(trade.amount)) + currency,
        two_decimals(trade.fee),
        trade.task or "",
    )


def _round_trips(account: AccountReport) -> Markup:
    shown, note = both_ends(account.round_trips, "round trips")
    rows = [
        (
            trip.symbol,
            trip.side,
            day_text(trip.opened_at, account.timezone),
            day_text(trip.closed_at, account.timezone),
            exact(trip.quantity),
            price_text(round(trip.entry_price, 8)),
            price_text(round(trip.exit_price, 8)),
            signed(two_decimals(trip.pnl), trip.pnl),
            trip.task or "",
        )
        for trip in shown
    ]
    columns = (
        Column("Symbol"),
        Column("Side"),
        Column("Opened"),
        Column("Closed"),
        Column("Quantity", number=True),
        Column("In at", number=True),
        Column("Out at", number=True),
        Column("Gain", number=True),
        Column("Closed by"),
    )
    table = data_table("Round trips", columns, rows, empty="Nothing was closed again.")
    return joined(tag("p", note, class_="note") if note else None, table)
