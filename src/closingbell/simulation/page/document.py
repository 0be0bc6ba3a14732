"""Document: the frame of every page, with its style and its script inside.

The page's own policy lets it fetch nothing, and run no script but this one.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from closingbell.simulation.page.markup import Content, Markup, joined, tag

_BELL = (
    "M12 3a6 6 0 0 0-6 6v4.2L4.3 16a1 1 0 0 0 .9 1.5h13.6a1 1 0 0 0 .9-1.5L18 13.2V9a6 6 0 0 0-6-6z"
    "M9.8 19a2.3 2.3 0 0 0 4.4 0z"
)


def document(title: str, lead: Content, sections: list[tuple[str, Content]]) -> str:
    """Return a page.

    Args:
        title: of the page.
        lead: under the title.
        sections: headings and what stands under them; those without content are left out.
    """
    style, script = _asset("page.css"), _asset("page.js")
    shown = [(heading, content) for heading, content in sections if content is not None]
    links = [tag("li", tag("a", heading, href=f"#{_anchor(heading)}")) for heading, _ in shown]
    bell = tag("svg", tag("path", d=_BELL), viewBox="0 0 24 24", class_="bell", aria_hidden="true")
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=page_policy()),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content="closingbell"),
            tag("title", f"{title} - closingbell"),
            tag("style", Markup(style)),
        ),
        tag(
            "body",
            tag("header", tag("div", bell, tag("h1", title), class_="title"), lead),
            tag("nav", tag("ul", links), aria_label="Sections"),
            tag(
                "main",
                [
                    tag("section", tag("h2", heading), content, id=_anchor(heading), class_="part")
                    for heading, content in shown
                ],
            ),
            tag("footer", tag("p", "Made by closingbell. Past results promise nothing.")),
            tag("script", Markup(script)),
        ),
        lang="en",
    )
    return joined(Markup("<!doctype html>\n"), page, Markup("\n"))


@cache
def page_policy() -> str:
    """Return the content policy that every page has; who serves one sends it as a header, too."""
    digest = base64.b64encode(hashlib.sha256(_asset("page.js").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return files("closingbell.simulation.page").joinpath(name).read_text(encoding="utf-8")


def _anchor(heading: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in heading.lower()).split())
