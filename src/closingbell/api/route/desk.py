"""The desk, to be read: accounts, portfolios, orders, journals, equity curves."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from closingbell.api.application import served_app
from closingbell.api.desk_view import DeskView, desk_view
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, Limit, PathText, QueryInstant, QueryText, micros_of
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import UnknownOrder
from closingbell.core.ledger import AccountRecord, OrderChange, Snapshot
from closingbell.core.order import Order, OrderState, Side
from closingbell.core.role import Role
from closingbell.store.store import Store
from closingbell.trading.curve import thinned
from closingbell.wire.desk import (
    AccountInfo,
    EntryInfo,
    EquityCurve,
    EquityPoint,
    OrderDetail,
    OrderInfo,
    OrderRun,
    OrderStep,
    PortfolioInfo,
    PositionInfo,
    Trade,
)
from closingbell.wire.page import Page

router = APIRouter(prefix="/accounts", tags=["desk"], dependencies=[needs(Role.VIEWER)])

_App = Annotated[App, Depends(served_app)]
_View = Annotated[DeskView, Depends(desk_view)]


@router.get(
    "",
    operation_id="list_accounts",
    summary="The accounts of the ledger, by name",
    responses=problems(422),
)
def list_accounts(app: _App, limit: Limit = 100, after: After = None) -> Page[AccountInfo]:
    """List accounts; a task's account is here once it was opened."""
    query = {"list": "accounts"}
    position = read_page_token(after, query, (str,))
    known = app.store.ledger.accounts()
    rest = [record for record in known if position is None or record.name > position[0]]
    page = rest[:limit]
    more = len(rest) > limit
    return Page(
        items=[_account(app.store, record) for record in page],
        next=make_page_token(query, (page[-1].name,)) if more else None,
    )


@router.get(
    "/{account}",
    operation_id="get_portfolio",
    summary="What an account is worth, and what it holds",
    responses=problems(404, 422),
)
def get_portfolio(view: _View, account: PathText) -> PortfolioInfo:
    """Return an account's portfolio."""
    return view.portfolio(account)


@router.get(
    "/{account}/positions",
    operation_id="list_positions",
    summary="What an account holds, by symbol",
    responses=problems(404, 422),
)
def list_positions(view: _View, account: PathText) -> list[PositionInfo]:
    """List an account's open positions; cash is none."""
    return view.portfolio(account).positions


@router.get(
    "/{account}/orders",
    operation_id="list_orders",
    summary="An account's orders, the newest first, with the runs that made them",
    responses=problems(404, 422),
)
def list_orders(
    app: _App,
    account: PathText,
    state: Annotated[list[OrderState] | None, Query(description="only in these")] = None,
    symbol: QueryText = None,
    task: QueryText = None,
    run: QueryText = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[OrderInfo]:
    """List a page of orders."""
    states = sorted({one.value for one in state or ()})
    query = {"list": "orders", "of": [account, states, symbol, task, run]}
    found = app.store.desk_pages.orders(
        account,
        states=states,
        symbol=symbol,
        task=task,
        run_id=run,
        after=read_page_token(after, query, (int, str)),
        limit=limit,
    )
    if not found.orders:
        app.store.ledger.account(account)
    states_of = app.store.runs.states({o.run_id for o in found.orders if o.run_id is not None})
    return Page(
        items=[OrderInfo(**_order(order, states_of)) for order in found.orders],
        next=None if found.position is None else make_page_token(query, found.position),
        complete=found.complete,
    )


@router.get(
    "/{account}/orders/{order_id}",
    operation_id="get_order",
    summary="An order with its history and its fills",
    responses=problems(404, 422),
)
def get_order(app: _App, account: PathText, order_id: PathText) -> OrderDetail:
    """Return one order."""
    store = app.store
    order = store.ledger.order(order_id)
    if order is None or order.account != account:
        store.ledger.account(account)
        raise UnknownOrder(order_id, account)
    fills = store.desk_pages.fills(order)
    states_of = {} if order.run_id is None else store.runs.states([order.run_id])
    return OrderDetail(
        **_order(order, states_of),
        history=[_step(step) for step in store.ledger.order_history(order_id)],
        trades=[_trade(entry) for entry in reversed(fills.entries)],
        trades_complete=fills.complete and fills.position is None,
    )


@router.get(
    "/{account}/trades",
    operation_id="list_trades",
    summary="An account's fills, the latest first",
    responses=problems(404, 422),
)
def list_trades(
    app: _App,
    account: PathText,
    symbol: QueryText = None,
    since: QueryInstant = None,
    until: QueryInstant = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[Trade]:
    """List a page of fills."""
    first, end = micros_of(since, app), micros_of(until, app)
    query = {"list": "trades", "of": [account, symbol, first, end]}
    found = app.store.desk_pages.entries(
        account,
        kinds=[EntryKind.FILL.value],
        symbol=symbol,
        since=first,
        until=end,
        after=read_page_token(after, query, (int, int)),
        limit=limit,
    )
    if not found.entries:
        app.store.ledger.account(account)
    return Page(
        items=[_trade(entry) for entry in found.entries],
        next=None if found.position is None else make_page_token(query, found.position),
        complete=found.complete,
    )


@router.get(
    "/{account}/entries",
    operation_id="list_entries",
    summary="An account's journal, the latest first",
    responses=problems(404, 422),
)
def list_entries(
    app: _App,
    account: PathText,
    kind: Annotated[list[EntryKind] | None, Query(description="only these")] = None,
    symbol: QueryText = None,
    since: QueryInstant = None,
    until: QueryInstant = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[EntryInfo]:
    """List a page of the journal."""
    kinds = sorted({one.value for one in kind or ()})
    first, end = micros_of(since, app), micros_of(until, app)
    query = {"list": "entries", "of": [account, kinds, symbol, first, end]}
    found = app.store.desk_pages.entries(
        account,
        kinds=kinds,
        symbol=symbol,
        since=first,
        until=end,
        after=read_page_token(after, query, (int, int)),
        limit=limit,
    )
    if not found.entries:
        app.store.ledger.account(account)
    return Page(
        items=[_entry(entry) for entry in found.entries],
        next=None if found.position is None else make_page_token(query, found.position),
        complete=found.complete,
    )


@router.get(
    "/{account}/equity",
    operation_id="get_equity",
    summary="An account's equity curve, thinned to so many points",
    responses=problems(404, 422),
)
def get_equity(
    app: _App,
    account: PathText,
    since: QueryInstant = None,
    until: QueryInstant = None,
    points: Annotated[int, Query(ge=2, le=2000, description="at most so many")] = 400,
) -> EquityCurve:
    """Return what an account was worth over time.

    Of a curve with more points than that, the lowest and the highest of each span of time are
    told, so that no fall is lost; of one with thousands, each span's among 2,000 that lie evenly.
    """
    store = app.store
    record = store.ledger.account(account)
    curve, whole = store.desk_pages.curve(account, micros_of(since, app), micros_of(until, app))
    shown = thinned(curve, points)
    return EquityCurve(
        account=account,
        currency=record.currency,
        points=[_point(point) for point in shown],
        is_thinned=not whole or len(shown) < len(curve),
    )


def _account(store: Store, record: AccountRecord) -> AccountInfo:
    last = next(iter(store.ledger.snapshots(record.name, limit=1)), None)
    return AccountInfo(
        name=record.name,
        currency=record.currency,
        broker=record.broker,
        opened_at=from_micros(record.opened_at),
        initial=record.initial,
        entries=record.seq,
        last_value=None if last is None else last.value,
        last_value_at=None if last is None else from_micros(last.at),
    )


def _order(order: Order, states: dict[str, str]) -> dict[str, Any]:
    made_by = None
    if order.run_id is not None:
        made_by = OrderRun(id=order.run_id, task=order.task, state=states.get(order.run_id))
    return {
        **{name: getattr(order, name) for name in _AS_IT_IS},
        "created_at": from_micros(order.created_at),
        "effective_at": from_micros(order.effective_at),
        "updated_at": from_micros(order.updated_at),
        "run": made_by,
    }


_AS_IT_IS = (
    "id",
    "account",
    "symbol",
    "side",
    "type",
    "quantity",
    "filled",
    "limit_price",
    "stop_price",
    "time_in_force",
    "state",
    "broker_id",
    "reason",
)


def _step(step: OrderChange) -> OrderStep:
    fields = step._asdict()
    del fields["order_id"]
    return OrderStep(**{**fields, "at": from_micros(step.at)})


def _trade(entry: Entry) -> Trade:
    return Trade(
        seq=entry.seq,
        at=from_micros(entry.at),
        side=Side.BUY if entry.quantity > 0 else Side.SELL,
        symbol=entry.symbol or "",
        quantity=abs(entry.quantity),
        price=entry.price,
        amount=abs(entry.amount),
        fee=entry.fee,
        currency=entry.currency,
        order_id=entry.order_id or "",
        run_id=entry.run_id,
        task=entry.task,
        external_id=entry.external_id,
    )


def _entry(entry: Entry) -> EntryInfo:
    fields = entry._asdict()
    del fields["account"]
    return EntryInfo(**{**fields, "at": from_micros(entry.at)})


def _point(point: Snapshot) -> EquityPoint:
    fields = point._asdict()
    del fields["account"]
    return EquityPoint(**{**fields, "at": from_micros(point.at)})
