"""Symbols as people write them: "BTC" and "BTC/EUR" both name the position in BTC/EUR."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.error import AmbiguousSymbol, UnknownSymbol


def base_of(symbol: str) -> str:
    """Return what is traded: "BTC" of "BTC/EUR", and "AAPL" of "AAPL"."""
    return symbol.partition("/")[0]


def resolve(given: str, held: Iterable[str], known: Iterable[str], currency: str) -> str:
    """Return the one symbol that a name means.

    The exact name leads. A name without its quote currency means the position that is held
    in it, else the only known symbol; a quote currency beside a stock that is named without
    one is the account's.

    Args:
        given: as the caller wrote it.
        held: symbols with a position or a working order.
        known: all symbols that have prices.
        currency: of the account.

    Raises:
        UnknownSymbol: nothing of that name is held or has market data.
        AmbiguousSymbol: several symbols would fit.
    """
    name = str(given).strip()
    held, known = set(held), set(known)
    if name and (name in held or name in known):
        return name
    base, _, quote = name.partition("/")
    if quote:
        if quote == currency and base in held | known:
            return base
        raise UnknownSymbol(str(given), held | known)
    for group in (held, known):
        fitting = sorted(symbol for symbol in group if base and base_of(symbol) == base)
        if len(fitting) > 1:
            raise AmbiguousSymbol(name, fitting)
        if fitting:
            return fitting[0]
    raise UnknownSymbol(str(given), held | known)
