"""One name for a position, with or without its quote currency."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell.core.error import AmbiguousSymbol, UnknownSymbol
from closingbell.trading.symbol import base_of, resolve

KNOWN = ["AAPL", "BTC/EUR", "BTC/USD", "ETH/EUR", "IBM"]


@pytest.mark.parametrize(
    ("given", "held", "meant"),
    [
        ("AAPL", [], "AAPL"),
        ("ETH", [], "ETH/EUR"),
        ("ETH/EUR", [], "ETH/EUR"),
        (" ETH ", [], "ETH/EUR"),
        ("BTC", ["BTC/USD"], "BTC/USD"),
        ("BTC/EUR", ["BTC/USD"], "BTC/EUR"),
        ("AAPL/EUR", [], "AAPL"),
        ("DOGE", ["DOGE/EUR"], "DOGE/EUR"),
    ],
)
def test_symbol_with_or_without_its_quote_currency_names_the_one_that_fits(
    given: str, held: list[str], meant: str
) -> None:
    assert resolve(given, held, KNOWN, "EUR") == meant


def test_symbol_without_quote_currency_that_fits_several_is_ambiguous() -> None:
    with pytest.raises(AmbiguousSymbol, match="BTC/EUR or BTC/USD"):
        resolve("BTC", [], KNOWN, "EUR")
    with pytest.raises(AmbiguousSymbol):
        resolve("BTC", ["BTC/EUR", "BTC/USD"], KNOWN, "EUR")


@pytest.mark.parametrize("given", ["AAPK", "AAPL/GBP", "", "  ", "/EUR", "btc", None, 5])
def test_symbol_that_nobody_knows_is_refused_with_the_nearest(given: Any) -> None:
    with pytest.raises(UnknownSymbol) as refused:
        resolve(given, [], KNOWN, "EUR")
    if given == "AAPK":
        assert refused.value.near == "AAPL"


def test_base_of_a_symbol_leaves_its_quote_currency_out() -> None:
    assert [base_of("BTC/EUR"), base_of("AAPL")] == ["BTC", "AAPL"]
