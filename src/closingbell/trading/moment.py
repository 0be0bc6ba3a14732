"""Moments: what market data and the end of a day do to an account. Pure decisions.

Each takes a draft that starts from the account, whose prices are those of the moment
already, and leaves in it what becomes true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from closingbell.core.amount import ZERO, plain
from closingbell.core.bar import CorporateAction, Dividend, Quote, Slice
from closingbell.core.error import NoPrice
from closingbell.core.ledger import Snapshot
from closingbell.core.order import OrderState
from closingbell.trading import fact
from closingbell.trading.account import Account
from closingbell.trading.corporate_action import book_action
from closingbell.trading.draft import Draft


def _advance(draft: Draft, opened: bool) -> bool:
    """Move the cursor on; return False where another process was there already."""
    if draft.cursor >= (draft.at, opened):
        return False
    draft.cursor = (draft.at, opened)
    return True


def decide_closing(draft: Draft, slices: Sequence[Slice], tells: bool) -> Draft:
    """Bars are over: orders fill by them.

    Args:
        draft: at their end.
        slices: the bars.
        tells: whether this account tells that there is new market data.
    """
    account = draft.account
    if not _advance(draft, opened=False):
        return draft
    bars = {bar.symbol: bar for part in slices for bar in part.bars}
    if account.broker.matches:
        for order in account.ranked():
            bar = bars.get(order.symbol)
            if bar is not None:
                means = draft.means(order, bar.volume)
                draft.take(order, account.broker.on_bar(bar, order, means))
    if account.counts_volumes:
        for symbol, bar in bars.items():
            taken = draft.volumes.get(symbol, (ZERO, ZERO))[1]
            draft.count(symbol, bar.volume, taken)
    draft.mark()
    if tells:
        draft.tell(fact.market_data_update(account.terms.timeframe, bars, draft.at))
    return draft


def decide_opening(draft: Draft, slices: Sequence[Slice]) -> Draft:
    """Bars start: splits, dividends, then orders fill at the first prices."""
    account = draft.account
    if not _advance(draft, opened=True):
        return draft
    actions = {action for part in slices for action in part.actions}
    if actions:
        # Of one instant a dividend is per new unit, as prices of that day are.
        for action in sorted(actions, key=_splits_first):
            book_action(draft, action)
        draft.revalue()
    bars = {bar.symbol: bar for part in slices for bar in part.bars}
    if account.counts_volumes:
        for symbol in bars:
            draft.count(symbol, draft.volumes.get(symbol, (ZERO, ZERO))[0], ZERO)
    if account.broker.matches:
        for ranked in account.ranked():
            bar, order = bars.get(ranked.symbol), draft.order(ranked)
            if bar is not None and order.is_working:
                quote = Quote(bar.symbol, draft.at, bar.open)
                draft.take(order, account.broker.on_open(quote, order, draft.means(order)))
    draft.mark()
    return draft


def _splits_first(action: CorporateAction) -> tuple[int, bool, str, Decimal]:
    return (action.at, isinstance(action, Dividend), action.symbol, action[2])


def decide_quotes(draft: Draft, quotes: Mapping[str, Quote]) -> Draft:
    """Live prices came in: orders fill at them."""
    account = draft.account
    if account.broker.matches:
        for order in account.ranked():
            quote = quotes.get(order.symbol)
            if quote is not None:
                draft.take(order, account.broker.on_quote(quote, order, draft.means(order)))
    draft.mark()
    return draft


def decide_mark(draft: Draft, opened: bool) -> Draft:
    """Prices moved, at a closing or an opening, and nothing else."""
    if _advance(draft, opened):
        draft.mark()
    return draft


def decide_daily_close(draft: Draft, session_date: str) -> Draft:
    """A session is over: "day" orders that were effective in it expire."""
    account = draft.account
    if account.memory.get("daily_close", -1) >= draft.at:
        # Another process was first.
        return draft
    if account.broker.matches:
        for order in account.ranked():
            if order.time_in_force == "day" and order.effective_at <= draft.at:
                draft.move(order, OrderState.EXPIRED, "the session is over")
    draft.remember("daily_close", draft.at)
    worth, change = worth_at(account, draft.at), None
    if worth is not None:
        value, flows = map(Decimal, account.memory.get("day", ("0", "0")))
        change = (worth.value - worth.flows) - (value - flows)
        draft.remember("day", [plain(worth.value), plain(worth.flows)])
    draft.tell(fact.daily_close(account.terms.name, session_date, draft.at, worth, change))
    return draft


def decide_snapshot(draft: Draft) -> Draft:
    """A point of the equity curve; none while the account cannot be valued."""
    worth = worth_at(draft.account, draft.at)
    if worth is not None:
        draft.snapshots.append(worth)
    return draft


def worth_at(account: Account, at: int) -> Snapshot | None:
    """Return what an account is worth, or None while a price is missing."""
    try:
        return account.worth(at)
    except NoPrice:
        return None
