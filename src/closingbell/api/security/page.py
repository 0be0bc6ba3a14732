"""The look of the service's own pages, and those of the door. Plain HTML: no script, nothing inline."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import quote, urlsplit

from closingbell.simulation.page.markup import Content, tag

_BELL = (
    "M12 3a6 6 0 0 0-6 6v4.2L4.3 16a1 1 0 0 0 .9 1.5h13.6a1 1 0 0 0 .9-1.5L18 13.2V9a6 6 0 0 0-6-6z"
    "M9.8 19a2.3 2.3 0 0 0 4.4 0z"
)


def style_sheet() -> bytes:
    """Return the pages' CSS."""
    return files("closingbell.api.security").joinpath("page.css").read_bytes()


def icon() -> str:
    """Return the bell, as a picture of its own."""
    bell = tag("path", d=_BELL, fill="#3f74dd")
    return tag("svg", bell, viewBox="0 0 24 24", xmlns="http://www.w3.org/2000/svg")


def sign_in_page(following: str, issuer: str | None, problem: str | None = None) -> str:
    """Return the page that asks for a token.

    Args:
        following: the path to go on to; an own one.
        issuer: the provider that may vouch for people; None = there is none.
        problem: what was wrong the last time.
    """
    provider = None
    if issuer is not None:
        name = urlsplit(issuer).hostname or issuer
        address = f"/oidc/start?next={quote(following, safe='')}"
        provider = tag("a", f"Sign in with {name}", href=address, class_="button plain")
    return page(
        "Sign in",
        tag("h1", "Sign in"),
        tag("p", "Show an API token to come in.", class_="muted"),
        None if problem is None else tag("p", problem, class_="alert", role="alert", id="problem"),
        tag(
            "form",
            tag("label", "Token", for_="token"),
            tag(
                "input",
                id="token",
                name="token",
                type="password",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                spellcheck="false",
                maxlength=1000,
                aria_invalid=None if problem is None else "true",
                aria_describedby=None if problem is None else "problem",
            ),
            tag("input", type="hidden", name="next", value=following),
            tag("button", "Sign in", type="submit"),
            provider,
            method="post",
            action="/sign-in",
        ),
        tag(
            "p",
            "No token? On the machine of the service, ",
            tag("code", "closingbell sign-in"),
            " makes an address that signs you in once.",
            class_="muted",
        ),
    )


def signed_in_page(following: str) -> str:
    """Return the page that leads on, after a way in that began at another site.

    A redirect would still be the other site's doing, and the strict cookie would stay at home.
    """
    return page(
        "Signed in",
        tag("h1", "You are signed in"),
        tag("p", tag("a", "Go on", href=following)),
        refresh_to=following,
    )


def page(
    title: str,
    *content: Content,
    refresh_to: str | None = None,
    refresh_s: int | None = None,
    wide: bool = False,
) -> str:
    """Return a whole page in the look of the service.

    Args:
        title: of the browser's tab.
        content: below the bell.
        refresh_to: an own path to go on to at once.
        refresh_s: ask for the page again after so many seconds.
        wide: for tables; else as narrow as a form.
    """
    refresh = None
    if refresh_to is not None:
        refresh = tag("meta", http_equiv="refresh", content=f"0; url={refresh_to}")
    elif refresh_s is not None:
        refresh = tag("meta", http_equiv="refresh", content=str(refresh_s))
    bell = tag("svg", tag("path", d=_BELL), viewBox="0 0 24 24", class_="bell", aria_hidden="true")
    whole = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            refresh,
            tag("title", f"{title} - closingbell"),
            tag("link", rel="stylesheet", href="/sign-in.css"),
            tag("link", rel="icon", type="image/svg+xml", href="/sign-in.svg"),
        ),
        tag(
            "body",
            tag(
                "main",
                tag("div", bell, "closingbell", class_="brand"),
                content,
                class_="wide" if wide else None,
            ),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{whole}\n"
