"""Corporate actions: what splits and dividends do to an account."""

from __future__ import annotations

from decimal import Decimal

from closingbell.core.amount import round_down, rounded
from closingbell.core.bar import CorporateAction, Dividend, Split
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.ledger import OrderChange
from closingbell.core.order import Order, OrderState
from closingbell.trading.draft import Draft


def book_action(draft: Draft, action: CorporateAction) -> None:
    """Book a corporate action on what is held.

    A split multiplies quantities and divides prices, those of working orders of a matching
    broker too; one of which less than a lot is left is cancelled. A dividend is
    cash for who holds, and a charge for who is short. The same one is booked once.
    """
    name = f"{type(action).__name__.lower()}:{action.symbol}@{action.at}"
    if name in draft.account.known or any(line.external_id == name for line in draft.entries):
        return
    if isinstance(action, Dividend):
        _book_dividend(draft, action, name)
        return
    _book_split(draft, action, name)
    if draft.account.broker.matches:
        for order in draft.account.ranked():
            if order.symbol == action.symbol:
                _split_order(draft, order, action.ratio)


def _book_dividend(draft: Draft, dividend: Dividend, name: str) -> None:
    account, (symbol, at, amount) = draft.account, dividend
    held = draft.book.quantity(symbol)
    if held:
        draft.book_entry(
            Entry(
                account.terms.name,
                draft.book.seq + 1,
                EntryKind.DIVIDEND,
                at,
                account.currency_of(symbol),
                held * amount,
                symbol=symbol,
                quantity=held,
                price=amount,
                external_id=name,
            )
        )


def _book_split(draft: Draft, split: Split, name: str) -> None:
    account, (symbol, at, ratio) = draft.account, split
    if draft.book.quantity(symbol):
        draft.book_entry(
            Entry(
                account.terms.name,
                draft.book.seq + 1,
                EntryKind.SPLIT,
                at,
                account.currency_of(symbol),
                symbol=symbol,
                price=ratio,
                external_id=name,
            )
        )


def _split_order(draft: Draft, order: Order, ratio: Decimal) -> None:
    quantity = round_down(order.quantity * ratio, draft.account.terms.lot)
    filled = rounded(order.filled * ratio)
    if quantity <= filled:
        draft.move(order, OrderState.CANCELLED, reason="split: less than one lot is left")
        return
    draft.step(
        order,
        OrderChange(
            order.id,
            order.state,
            draft.at,
            filled=filled if filled else None,
            quantity=quantity,
            limit_price=_split_price(order.limit_price, ratio),
            stop_price=_split_price(order.stop_price, ratio),
        ),
    )


def _split_price(price: Decimal | None, ratio: Decimal) -> Decimal | None:
    return None if price is None else rounded(price / ratio)
