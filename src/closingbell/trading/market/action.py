"""Corporate actions: which are sound, and prices as they look after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from typing import Any

from closingbell.core.amount import ONE
from closingbell.core.bar import Bar, CorporateAction, Dividend, Split
from closingbell.core.error import MarketDataError
from closingbell.trading.market.soundness import require_symbol

_PRECISE = Context(prec=28)


def check_actions(actions: Iterable[CorporateAction]) -> None:
    """Refuse corporate actions that cannot be right.

    Raises:
        MarketDataError: one is no split or dividend, has no instant, or a ratio or amount that is
            not above zero.
    """
    given: Any
    for row, given in enumerate(actions):
        if not isinstance(given, (Split, Dividend)):
            problem = f"it is of type {type(given).__name__}"
            raise MarketDataError(str(given), problem, "expected a Split or a Dividend", row)
        symbol = require_symbol(given.symbol)
        at: Any = given.at
        value: Any = given[2]
        if type(at) is not int:
            raise MarketDataError(symbol, f"at is {at!r}", "expected whole microseconds", row)
        if not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
            name = "ratio" if isinstance(given, Split) else "amount"
            raise MarketDataError(symbol, f"{name} is {value!r}", "expected a Decimal above 0", row)


def unknown(
    actions: Iterable[CorporateAction], known: Iterable[CorporateAction]
) -> list[CorporateAction]:
    """Return the actions that are not known yet, each once."""
    # As tuples, a split by 2 equals a dividend of 2.
    there = {(type(action), action) for action in known}
    fresh = dict.fromkeys((type(action), action) for action in actions)
    return [action for kind, action in fresh if (kind, action) not in there]


def adjusted(
    bars: Sequence[Bar], actions: Sequence[CorporateAction], *, dividends: bool = False
) -> list[Bar]:
    """Return bars as if the actions had always been in effect: levels before and after compare.

    A split divides the prices before it by its ratio and multiplies the volumes. A dividend
    multiplies the prices before it by 1 - amount / last close before it, the rule of CRSP and
    of most data vendors; without a bar before it nothing is adjusted.

    Args:
        bars: one symbol's, oldest first, as traded.
        actions: any symbols', ordered by `at`.
        dividends: for them too, not for splits only.
    """
    if not bars:
        return []
    result = list(bars)
    own = [action for action in actions if action.symbol == bars[0].symbol]
    # The newest first: a dividend is set against the price as it was traded then. What splits
    # divide by is kept apart from what dividends multiply by, so that a third of 30 is 10.
    ratio, share = ONE, ONE
    position = len(result)
    for action in reversed(own):
        position = _scale(result, position, action.at, ratio, share)
        if isinstance(action, Split):
            ratio = _PRECISE.multiply(ratio, action.ratio)
        elif dividends and position:
            paid = _PRECISE.divide(action.amount, bars[position - 1].close)
            if paid < 1:
                share = _PRECISE.multiply(share, ONE - paid)
    _scale(result, position, None, ratio, share)
    return result


def _scale(
    bars: list[Bar], position: int, since: int | None, ratio: Decimal, share: Decimal
) -> int:
    """Adjust the bars below `position` that start at or after `since`; return the first's row."""
    while position and (since is None or bars[position - 1].start >= since):
        position -= 1
        if ratio == 1 and share == 1:
            continue
        bar = bars[position]
        opening, high, low, close = (
            _PRECISE.multiply(_PRECISE.divide(price, ratio), share) for price in bar[3:7]
        )
        bars[position] = bar._replace(
            open=opening,
            high=high,
            low=low,
            close=close,
            volume=_PRECISE.multiply(bar.volume, ratio),
        )
    return position
