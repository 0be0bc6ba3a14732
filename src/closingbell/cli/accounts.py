"""`portfolio`, `orders`, `trades`: what an account holds, asked for and did."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile

if TYPE_CHECKING:
    from closingbell.cli.output import Output
    from closingbell.wire.desk import PortfolioInfo

Account = Annotated[str, typer.Argument(metavar="[ACCOUNT]", help="Whose.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="Only of this symbol.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")]


@guarded
def portfolio(
    account: Account = "main",
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what an account is worth and holds, in its currency."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.desk.portfolio(account)
    if as_json:
        out.document(found)
    else:
        _tell(found, out)


def _tell(found: PortfolioInfo, out: Output) -> None:
    facts: list[tuple[str, Any]] = [
        ("account", f"{found.account}, {found.currency}, {found.broker}"),
        ("priced", found.priced_until),
        ("value", _amount(found.total_value)),
        ("cash", _amount(found.cash)),
        ("free cash", _amount(found.free_cash)),
        ("realized", _amount(found.realized_pnl)),
        ("unrealized", _amount(found.unrealized_pnl)),
        ("exposure", _amount(found.exposure)),
        ("drawdown", None if found.drawdown is None else f"{found.drawdown:.2%}"),
        ("orders", f"{found.working_orders} at work"),
        ("missing", found.missing_price),
    ]
    for name, value in facts:
        if value is not None:
            out.say(f"{name:<10} {out.cell(value)}")
    if found.is_breached:
        out.say("the limit on drawdown is breached")
    if found.positions:
        out.say("")
        rows = [
            (
                one.symbol,
                f"{one.quantity:f}",
                f"{one.average_price:f}",
                None if one.price is None else f"{one.price:f}",
                _amount(one.value),
                _amount(one.unrealized_pnl),
                None if one.weight is None else f"{one.weight:.1%}",
            )
            for one in found.positions
        ]
        columns = ("symbol", "quantity", "average", "price", "value", "unrealized", "weight")
        out.table(columns, rows, "")


@guarded
def orders(
    account: Account = "main",
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state; repeatable.")
    ] = None,
    symbol: Symbol = None,
    limit: Limit = 20,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List an account's orders, the newest first."""
    from itertools import islice

    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        asked = client.desk.orders(account, states=state or (), symbol=symbol)
        found = list(islice(asked, limit))
    if as_json:
        out.document({"orders": found})
        return
    rows = [
        (
            one.created_at,
            one.id,
            one.side,
            one.symbol,
            f"{one.filled:f}/{one.quantity:f}",
            one.type,
            None if one.limit_price is None else f"{one.limit_price:f}",
            None if one.stop_price is None else f"{one.stop_price:f}",
            one.state,
            None if one.run is None else one.run.task,
            one.reason,
        )
        for one in found
    ]
    columns = (
        "made", "id", "side", "symbol", "filled", "type", "limit", "stop", "state", "task", "why"
    )  # fmt: skip
    out.table(columns, rows, "no orders match")


@guarded
def trades(
    account: Account = "main",
    symbol: Symbol = None,
    limit: Limit = 20,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List an account's trades, the newest first."""
    from itertools import islice

    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = list(islice(client.desk.trades(account, symbol=symbol), limit))
    if as_json:
        out.document({"trades": found})
        return
    rows = [
        (
            one.at,
            one.side,
            one.symbol,
            f"{one.quantity:f}",
            f"{one.price:f}",
            _amount(one.amount),
            _amount(one.fee),
            one.currency,
            one.task,
        )
        for one in found
    ]
    columns = ("time", "side", "symbol", "quantity", "price", "amount", "fee", "currency", "task")
    out.table(columns, rows, "no trades match")


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:,.2f}"
