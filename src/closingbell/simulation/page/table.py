"""Tables that scroll inside their own box, and lists of names and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from closingbell.simulation.figure_text import NONE
from closingbell.simulation.page.markup import Content, Markup, tag
from closingbell.simulation.plain import plain

#: Rows of a long table that are shown from either end.
SHOWN_ROWS = 200


class Column(NamedTuple):
    """One column; a number stands on the right."""

    name: str
    number: bool = False


def data_table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[Content]], *, empty: str
) -> Markup:
    """Return a table.

    Args:
        title: what a reader who cannot see the page is told.
        columns: the headings.
        rows: cells; what is no markup is escaped.
        empty: what stands there when there is no row.
    """
    body = [
        tag(
            "tr",
            [
                tag("td", cell, class_="number" if column.number else None)
                for cell, column in zip(row, columns, strict=True)
            ],
        )
        for row in rows
    ]
    if not body:
        return tag("p", empty, class_="empty")
    heads = [
        tag("th", column.name, scope="col", class_="number" if column.number else None)
        for column in columns
    ]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", title, class_="unseen"),
            tag("thead", tag("tr", heads)),
            tag("tbody", body),
        ),
        class_="scroll long" if len(body) > 16 else "scroll",
        tabindex="0",
        role="region",
        aria_label=title,
    )


def both_ends(rows: Sequence[Any], what: str) -> tuple[list[Any], str | None]:
    """Return the first and last rows of a long list, and a note about those between."""
    left_out = len(rows) - 2 * SHOWN_ROWS
    if left_out <= 0:
        return list(rows), None
    note = (
        f"The first {SHOWN_ROWS} and the last {SHOWN_ROWS} of {len(rows):,} {what}; "
        f"{left_out:,} between them are left out."
    )
    return [*rows[:SHOWN_ROWS], *rows[-SHOWN_ROWS:]], note


def signed(text: str, value: Any) -> Markup:
    """Return a number in the colour of a gain or a loss."""
    style = None if not value else "gain" if value > 0 else "loss"
    return tag("span", text, class_=style)


def definitions(values: Mapping[str, Any]) -> Markup:
    """Return names and values; what is nested is named by its path."""
    rows = [
        tag("div", tag("dt", name), tag("dd", _text(value)))
        for name, value in flattened(values).items()
    ]
    return tag("dl", rows, class_="facts")


def flattened(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keyed by dotted paths."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and value:
            found |= flattened(value, full)
        else:
            found[full] = plain(value)
    return found


def _text(value: Any) -> str:
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list():
            return ", ".join(map(_text, value)) or NONE
        case _:
            return msgspec.json.encode(value).decode()
