"""Where something that was made is found: the header Location."""

from __future__ import annotations

from urllib.parse import quote

from closingbell.api.application import PREFIX


def location(noun: str, name: str) -> str:
    """Return the path of one thing; its name may be any text, of which a header holds little."""
    return f"{PREFIX}/{noun}/{quote(name, safe=':@')}"
