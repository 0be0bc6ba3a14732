"""The page of a comparison: two backtests in one chart and one table."""

from __future__ import annotations

from closingbell.simulation.account_report import AccountReport
from closingbell.simulation.comparison import (
    Comparison,
    FigurePair,
    change_text,
    input_text,
    trade_text,
)
from closingbell.simulation.figure import GROUPS, Unit
from closingbell.simulation.figure_text import figure_text, instant_text
from closingbell.simulation.page.chart import Curve, time_chart
from closingbell.simulation.page.document import document
from closingbell.simulation.page.figure_card import named
from closingbell.simulation.page.markup import Markup, joined, tag
from closingbell.simulation.page.scale import short_number
from closingbell.simulation.page.table import Column, data_table, signed


def comparison_page(comparison: Comparison) -> str:
    """Return a comparison as one HTML page that needs no server and no network."""
    left, right = comparison.left, comparison.right
    title = (
        f"{left.name} and {right.name}"
        if left.name != right.name
        else f"{left.name}: {left.id} and {right.id}"
    )
    return document(
        title,
        _lead(comparison),
        [
            ("Curves", _curves(comparison)),
            ("Figures", _figures(comparison)),
            ("Inputs", _inputs(comparison)),
        ],
    )


def _lead(comparison: Comparison) -> Markup:
    sides = [
        tag(
            "li",
            tag("i", class_=f"key {style}"),
            tag("span", side),
            f" {report.name} ({report.id})",
        )
        for side, style, report in (
            ("left", "main", comparison.left),
            ("right", "second", comparison.right),
        )
    ]
    return joined(tag("ul", sides, class_="chips"), _parting(comparison))


def _parting(comparison: Comparison) -> Markup:
    parting, zone = comparison.parting, comparison.account[0].timezone
    if parting is None:
        return tag("p", "Every trade is the same.", class_="lead")
    return tag(
        "p",
        "The trades part at ",
        tag("b", instant_text(parting.at, zone)),
        f", with trade {parting.number:,}. Left: {trade_text(parting.left, zone)}. "
        f"Right: {trade_text(parting.right, zone)}.",
        class_="lead",
    )


def _curves(comparison: Comparison) -> Markup:
    ours, theirs = comparison.account
    at = sorted({point.at for account in comparison.account for point in account.equity})
    names = _names(comparison)

    def curves(of: str) -> list[Curve]:
        found = []
        for account, name, style in zip((ours, theirs), names, ("main", "second"), strict=True):
            values = {point.at: float(getattr(point, of)) for point in account.equity}
            found.append(Curve(name, style, _held(at, values), filled=of == "drawdown"))
        return found

    currency = ours.currency if ours.currency == theirs.currency else "each in its currency"
    return joined(
        time_chart(
            f"Equity, {currency}",
            f"{names[0]} and {names[1]}.",
            at,
            curves("value"),
            timezone=ours.timezone,
            label=short_number,
            unit="money",
            steep=True,
        ),
        time_chart(
            "Below the peak",
            f"{names[0]} and {names[1]}.",
            at,
            curves("drawdown"),
            timezone=ours.timezone,
            label=lambda value: f"{value:.0%}",
            unit="percent",
            height="low",
            zero=True,
        ),
    )


def _held(at: list[int], values: dict[int, float]) -> list[float | None]:
    """Carry a curve over the other one's instants, and leave what lies outside of it empty."""
    last = max(values, default=-1)
    found: list[float | None] = []
    present: float | None = None
    for instant in at:
        present = values.get(instant, present)
        found.append(present if instant <= last else None)
    return found


def _names(comparison: Comparison) -> tuple[str, str]:
    left, right = comparison.left, comparison.right
    if left.name != right.name:
        return left.name, right.name
    return f"left {left.id}", f"right {right.id}"


def _figures(comparison: Comparison) -> Markup:
    cards = []
    for group in GROUPS:
        rows = [
            _row(pair, comparison.account[0])
            for pair in comparison.figures
            if pair.figure.group == group and (pair.left is not None or pair.right is not None)
        ]
        if rows:
            heads = [tag("th", name, scope="col") for name in ("Left", "Right", "Change")]
            table = tag("table", tag("thead", tag("tr", tag("td"), heads)), tag("tbody", rows))
            cards.append(tag("section", tag("h3", group), table, class_="card"))
    return tag("div", cards, class_="cards broad")


def _row(pair: FigurePair, account: AccountReport) -> Markup:
    change = change_text(pair)
    better = (
        pair.figure.better * (1 if pair.change > 0 else -1)
        if pair.change and pair.figure.unit is not Unit.INSTANT
        else 0
    )
    return tag(
        "tr",
        tag("th", named(pair.figure), scope="row"),
        tag("td", figure_text(pair.figure, pair.left, account.timezone)),
        tag("td", figure_text(pair.figure, pair.right, account.timezone)),
        tag("td", signed("differs" if change == "*" else change, better)),
    )


def _inputs(comparison: Comparison) -> Markup:
    rows = [
        (each.name, input_text(each.left), input_text(each.right)) for each in comparison.inputs
    ]
    columns = (Column("Input"), Column("Left"), Column("Right"))
    return data_table("Inputs that differ", columns, rows, empty="The inputs are the same.")
