"""Markup: HTML that cannot be mixed up with text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

#: Elements that have no end.
_VOID = frozenset({"br", "col", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already; any other text is escaped when it is put into an element."""

    __slots__ = ()


#: What an element may hold: text, markup, or any number of them; None is left out.
Content = str | None | Iterable["Content"]


def tag(element: str, /, *content: Content, **attributes: Any) -> Markup:
    """Return an element.

    Args:
        element: its name.
        content: what it holds; plain text is escaped.
        attributes: `class_` is class, `aria_label` is aria-label; None and False are left out,
            True is an attribute without a value.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        text = "" if value is True else f'="{escape(str(value))}"'
        written.append(f" {attribute}{text}")
    opening = f"<{element}{''.join(written)}>"
    return Markup(opening if element in _VOID else f"{opening}{joined(*content)}</{element}>")


def joined(*content: Content) -> Markup:
    """Return content as one piece of markup."""
    return Markup("".join(_pieces(content)))


def data_script(value: Any) -> Markup:
    """Return JSON for scripts to read; nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return tag("script", Markup(safe), type="application/json")


def _pieces(content: Iterable[Content]) -> Iterable[str]:
    for each in content:
        if each is None:
            continue
        if isinstance(each, Markup):
            yield each
        elif isinstance(each, str):
            yield escape(each)
        else:
            yield from _pieces(each)
