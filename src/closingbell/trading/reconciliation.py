"""Reconciliation: the ledger beside what the broker says of balances, orders and fills.

Nothing is mended here, ever: a difference is told, and a person decides. What is merely on its
way is no difference: a first finding is looked at again after the broker's news were booked, and
only what is found twice, by the same amount, is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from closingbell.core.amount import ZERO, plain
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.ledger import Ledger
from closingbell.core.order import Order, OrderState
from closingbell.trading.account import Account
from closingbell.trading.broker.protocol import Execution, OrderReport
from closingbell.trading.symbol import base_of

#: Amounts of an asset that differ by less are equal: the smallest part that exchanges count.
DUST = Decimal("1e-8")


class DifferenceKind(StrEnum):
    """What differs."""

    #: How much there is of a currency or of what is traded.
    BALANCE = "balance"
    #: An order works in the ledger, and not at the broker.
    ORDER_GONE = "order_gone"
    #: An order works at the broker, and not in the ledger, or the ledger never had it.
    ORDER_UNKNOWN = "order_unknown"
    #: Nobody knows whether an order was sent.
    ORDER_UNRESOLVED = "order_unresolved"
    #: How much of a working order has traded.
    ORDER_FILLED = "order_filled"
    #: The broker tells a trade that the ledger has not.
    FILL_MISSING = "fill_missing"
    #: The ledger has a trade that the broker does not tell.
    FILL_UNKNOWN = "fill_unknown"
    #: Price, worth or fee of a trade.
    FILL_DIFFERS = "fill_differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the ledger and the broker tell differently.

    Attributes:
        account: whose.
        kind: what differs.
        subject: of which asset, order (its client order id) or trade (the broker's name).
        symbol: of the order or trade.
        ours: what the ledger says; None = nothing.
        theirs: what the broker says; None = nothing.
        since: from when on it is known, in microseconds since the epoch.
    """

    account: str
    kind: DifferenceKind
    subject: str
    symbol: str | None
    ours: str | None
    theirs: str | None
    since: int

    @property
    def key(self) -> str:
        """What makes it the same difference at every look, as long as it is there."""
        return f"{self.kind}:{self.subject}"

    @property
    def message(self) -> str:
        """One sentence for a person."""
        where = f" ({self.symbol})" if self.symbol and self.symbol != self.subject else ""
        return (
            f"account {self.account!r}, {self.kind.replace('_', ' ')} {self.subject}{where}: the "
            f"ledger says {self.ours or 'nothing'}, the broker {self.theirs or 'nothing'}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, for an alert's data or to be handed back as `earlier`."""
        return {
            "account": self.account,
            "kind": self.kind.value,
            "subject": self.subject,
            "symbol": self.symbol,
            "ours": self.ours,
            "theirs": self.theirs,
            "since": self.since,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Difference:
        """Return what `to_json` made."""
        return cls(**{**data, "kind": DifferenceKind(data["kind"])})


def reconcile(
    account: Account,
    ledger: Ledger,
    *,
    sync: Callable[[], object],
    now: int,
    since: int = 0,
    tolerance: Mapping[str, Decimal] | None = None,
    foreign: bool = False,
    earlier: Iterable[Difference] = (),
) -> list[Difference]:
    """Return what the ledger and the broker tell differently, ordered by kind and subject.

    A broker that matches (paper, simulated) has no books of its own: nothing differs.

    Args:
        account: whose.
        ledger: where it is kept.
        sync: books the broker's news, such as `lambda: desk.sync(name)`.
        now: the desk's time.
        since: from when on trades are compared, in microseconds since the epoch.
        tolerance: by asset, how far balances may be apart; 1e-8 where nothing is said.
        foreign: whether assets count that the ledger never had; test networks give away many.
        earlier: what was found last time: a difference that was there keeps its `since`.

    Raises:
        BrokerError: the broker could not be asked, or its answer cannot be read.
    """
    if account.broker.matches:
        return []
    allowed = tolerance or {}
    known = {difference.key: difference.since for difference in earlier}
    sync()
    first = _look(account, ledger, now, since, allowed, foreign)
    if not first:
        return []
    sync()
    before = {key: gap for key, (gap, _) in first.items()}
    again = _look(account, ledger, now, since, allowed, foreign)
    found = [
        replace(difference, since=min(known.get(key, difference.since), difference.since))
        for key, (gap, difference) in again.items()
        if key in before and before[key] == gap
    ]
    return sorted(found, key=lambda difference: (difference.kind, difference.subject))


def news(
    earlier: Iterable[Difference], found: Iterable[Difference]
) -> tuple[list[Difference], list[Difference]]:
    """Return the differences that are new, and those that are gone: what an alert is about."""
    before = {difference.key: difference for difference in earlier}
    after = {difference.key: difference for difference in found}
    return (
        [difference for key, difference in after.items() if key not in before],
        [difference for key, difference in before.items() if key not in after],
    )


#: By key: by how much, so that what moves on between two looks is told apart; and the difference.
_Found = dict[str, tuple[Decimal | None, Difference]]


def _look(
    account: Account,
    ledger: Ledger,
    now: int,
    since: int,
    tolerance: Mapping[str, Decimal],
    foreign: bool,
) -> _Found:
    found: _Found = {}

    def note(
        kind: DifferenceKind,
        subject: str,
        symbol: str | None,
        ours: str | None,
        theirs: str | None,
        at: int,
        gap: Decimal | None = None,
    ) -> None:
        told = Difference(account.terms.name, kind, subject, symbol, ours, theirs, min(at, now))
        found[told.key] = gap, told

    _compare_orders(account, ledger, now, note)
    _compare_fills(account, ledger, since, note)
    _compare_balances(account, now, tolerance, foreign, note)
    return found


_Note = Callable[..., None]


def _compare_balances(
    account: Account, now: int, tolerance: Mapping[str, Decimal], foreign: bool, note: _Note
) -> None:
    theirs = account.broker.balances()
    if theirs is None:
        return
    book = account.book
    ours = dict(book.cash)
    for holding in book.holdings.values():
        asset = base_of(holding.symbol)
        ours[asset] = ours.get(asset, ZERO) + holding.quantity
    assets: Collection[str] = ours.keys() | theirs.keys() if foreign else ours.keys()
    for asset in sorted(assets):
        have, told = ours.get(asset, ZERO), theirs.get(asset, ZERO)
        if abs(have - told) > tolerance.get(asset, DUST):
            gap = have - told
            note(DifferenceKind.BALANCE, asset, None, plain(have), plain(told), now, gap)


def _compare_orders(account: Account, ledger: Ledger, now: int, note: _Note) -> None:
    ours = dict(account.orders)
    told = account.broker.open_orders()
    theirs = {report.order_id: report for report in told if report.order_id is not None}
    for order in ours.values():
        report = theirs.get(order.id)
        if order.state is OrderState.NEW:
            kind = DifferenceKind.ORDER_UNRESOLVED
            note(kind, order.id, order.symbol, "new", _state(report), order.updated_at)
            continue
        if report is None:
            report = account.broker.find(order)
            if report is None or report.state is not OrderState.OPEN:
                kind = DifferenceKind.ORDER_GONE
                note(kind, order.id, order.symbol, _state(order), _state(report), order.updated_at)
                continue
        if report.filled != order.filled:
            gap = order.filled - report.filled
            kind, have = DifferenceKind.ORDER_FILLED, plain(order.filled)
            note(kind, order.id, order.symbol, have, plain(report.filled), order.updated_at, gap)
    for report in told:
        if report.order_id in ours:
            continue
        stored = ledger.order(report.order_id) if report.order_id is not None else None
        if stored is not None and stored.account != account.terms.name:
            continue
        at = stored.updated_at if stored is not None else now
        subject = report.order_id or report.broker_id or "without an id"
        kind = DifferenceKind.ORDER_UNKNOWN
        note(kind, subject, report.symbol, _state(stored), _state(report), at)


def _compare_fills(account: Account, ledger: Ledger, since: int, note: _Note) -> None:
    symbols = {order.symbol for order in account.orders.values()} | set(account.book.holdings)
    told = account.broker.trades(sorted(symbols), since)
    if told is None:
        return
    entries = ledger.entries(account.terms.name, after=since - 1)
    fills = {e.external_id: e for e in entries if e.kind == EntryKind.FILL and e.external_id}
    charges = {e.external_id: e for e in entries if e.kind == EntryKind.CHARGE}
    theirs = {trade.external_id or "": trade for trade in told if trade.at >= since}
    for name, trade in theirs.items():
        entry = fills.get(name)
        if entry is None:
            kind = DifferenceKind.FILL_MISSING
            note(kind, name, _symbol_of(name), None, _trade(trade), trade.at)
            continue
        charge = charges.get(f"{name}:fee")
        if not _agrees(entry, trade, charge):
            kind = DifferenceKind.FILL_DIFFERS
            note(kind, name, entry.symbol, _fill(entry, charge), _trade(trade), entry.at)
    for name, entry in fills.items():
        if name not in theirs:
            kind = DifferenceKind.FILL_UNKNOWN
            note(kind, name, entry.symbol, _fill(entry, None), None, entry.at)


def _agrees(entry: Entry, trade: Execution, charge: Entry | None) -> bool:
    """Say whether an entry is what a trade came to; the fee may be booked in three ways."""
    if entry.price != trade.price or abs(entry.amount) != trade.quantity * trade.price:
        return False
    bought = entry.amount < 0
    taken = trade.quantity - abs(entry.quantity)
    in_kind = taken if bought else -taken
    paid = entry.fee + in_kind + (-charge.amount if charge is not None else ZERO)
    return paid == trade.fee


def _state(order: Order | OrderReport | None) -> str | None:
    if order is None:
        return None
    return f"{order.state}, {plain(order.filled)} filled" if order.filled else str(order.state)


def _trade(trade: Execution) -> str:
    fee = f", fee {plain(trade.fee)} {trade.fee_currency or ''}".rstrip() if trade.fee else ""
    return f"{plain(trade.quantity)} at {plain(trade.price)}{fee}"


def _fill(entry: Entry, charge: Entry | None) -> str:
    fee = entry.fee if charge is None else -charge.amount
    currency = entry.currency if charge is None else charge.currency
    told = f", fee {plain(fee)} {currency}" if fee else ""
    return f"{plain(abs(entry.quantity))} at {plain(entry.price)}{told}"


def _symbol_of(name: str) -> str | None:
    """Return the symbol that a broker's name of a trade has in it, "binance:BTC/USDT:17"."""
    parts = name.split(":")
    return parts[1] if len(parts) == 3 else None
