"""Heat map: the return of each month, a row for each year."""

from __future__ import annotations

from collections.abc import Sequence

from closingbell.simulation.calendar_return import MonthReturn, yearly_returns
from closingbell.simulation.figure_text import percent
from closingbell.simulation.page.markup import Markup, tag

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def heat_map(months: Sequence[MonthReturn], benchmark: Sequence[MonthReturn] = ()) -> Markup:
    """Return a table of months and years; with a benchmark its years stand beside."""
    by_month = {(each.year, each.month): each.value for each in months}
    years = yearly_returns(list(months))
    others = yearly_returns(list(benchmark))
    strongest = max((abs(value) for value in by_month.values()), default=0.0) or 1.0
    heads = ["", *_MONTHS, "Year", *(["Benchm."] if others else [])]
    rows = []
    for year, total in years.items():
        cells = [tag("th", str(year), scope="row")]
        cells += [
            _month(by_month.get((year, month)), strongest) for month in range(1, len(_MONTHS) + 1)
        ]
        cells.append(tag("td", percent(total, 1), class_=f"total {_sign(total)}"))
        if others:
            value = others.get(year)
            text = "" if value is None else percent(value, 1)
            cells.append(tag("td", text, class_="total muted"))
        rows.append(tag("tr", cells))
    return tag(
        "div",
        tag(
            "table",
            tag("caption", "Monthly returns, time-weighted", class_="unseen"),
            tag("thead", tag("tr", [_head(head) for head in heads])),
            tag("tbody", rows),
            class_="heat",
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label="Monthly returns",
    )


def _head(name: str) -> Markup:
    return tag("th", name, scope="col") if name else tag("td", class_="corner")


def _month(value: float | None, strongest: float) -> Markup:
    if value is None:
        return tag("td", class_="none")
    # The root, so that months between calm and storm can be told apart.
    strength = round((abs(value) / strongest) ** 0.7 * 100)
    return tag("td", percent(value, 1), class_=_sign(value), style=f"--heat:{strength}%")


def _sign(value: float) -> str:
    return "gain" if value > 0 else "loss" if value < 0 else "even"
