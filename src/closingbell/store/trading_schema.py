"""The desk's tables: accounts, orders, entries, market data, backtests.

Their names begin with "desk_": a trader's database has tables called orders of its own.
Amounts are decimal text, never with an exponent: both databases keep them exactly,
and give back the digits that were written. The rules about lines that stay, in the
order in which they were made, are triggers: `append_only`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from closingbell.store.metadata import Word, is_one_of, metadata

ORDER_STATES = ("new", "open", "filled", "cancelled", "rejected", "expired")

# Not above by more than a rounding error of SQLite's floating point.
_NOT_OVERFILLED = (
    "CAST(filled AS DOUBLE PRECISION) <= CAST(quantity AS DOUBLE PRECISION) * 1.000000000001"
)


def _amount(name: str, nullable: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=nullable, server_default=default, info={"amount": True})


def _decimals(table: str, *columns: str) -> list[CheckConstraint]:
    """Return the checks that columns hold "12", "-0.5" and the like, and nothing else."""
    form = (
        "ltrim({0}, '-.0123456789') = '' AND {0} NOT IN ('', '-') AND {0} NOT LIKE '_%-%'"
        " AND {0} NOT LIKE '.%' AND {0} NOT LIKE '-.%' AND {0} NOT LIKE '%.%.%'"
        " AND {0} NOT LIKE '%.'"
    )
    return [
        CheckConstraint(form.format(name), name=f"{table}_{name}_is_decimal") for name in columns
    ]


def _not_zero(column: str) -> str:
    return f"ltrim({column}, '-0.') <> ''"


def _not_negative(column: str) -> str:
    return f"{column} NOT LIKE '-%'"


def _positive(column: str) -> str:
    return f"{_not_negative(column)} AND {_not_zero(column)}"


#: What the desk trades for. Every change raises the version by one.
accounts = Table(
    "desk_accounts",
    metadata,
    Column("name", Word, primary_key=True, nullable=False),
    Column("currency", Word, nullable=False),
    _amount("initial"),
    Column("broker", Word, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    _amount("peak"),
    Column("cursor_at", BigInteger, nullable=False),
    Column("cursor_opened", SmallInteger, nullable=False),
    Column("prices", Text, nullable=False),
    Column("breached", SmallInteger, nullable=False),
    Column("sync", Text, nullable=False),
    *_decimals("desk_accounts", "initial", "peak"),
    CheckConstraint("version >= 0 AND seq >= 0", name="desk_accounts_numbers_not_negative"),
    CheckConstraint(
        "cursor_opened IN (0, 1) AND breached IN (0, 1)", name="desk_accounts_flags_are_flags"
    ),
)

#: Every order, as it stands; what became of it line by line is in `desk_order_history`.
#: What was ordered never changes, and an order that ended never works again.
orders = Table(
    "desk_orders",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("account", Word, nullable=False),
    Column("symbol", Word, nullable=False),
    Column("side", Word, nullable=False),
    Column("type", Word, nullable=False),
    _amount("quantity"),
    _amount("limit_price", nullable=True),
    _amount("stop_price", nullable=True),
    Column("time_in_force", Word, nullable=False),
    Column("state", Word, nullable=False),
    _amount("filled"),
    Column("created_at", BigInteger, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("run_id", Word),
    Column("fence", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("task", Word),
    Column("priority", SmallInteger, nullable=False),
    Column("broker_id", Word),
    Column("reason", Text),
    *_decimals("desk_orders", "quantity", "limit_price", "stop_price", "filled"),
    CheckConstraint(is_one_of("state", ORDER_STATES), name="desk_orders_state_known"),
    CheckConstraint(is_one_of("side", ("buy", "sell")), name="desk_orders_side_known"),
    CheckConstraint(
        is_one_of("type", ("market", "limit", "stop", "stop_limit", "market_on_close")),
        name="desk_orders_type_known",
    ),
    CheckConstraint(
        is_one_of("time_in_force", ("gtc", "day")), name="desk_orders_time_in_force_known"
    ),
    CheckConstraint(_positive("quantity"), name="desk_orders_quantity_positive"),
    CheckConstraint(_not_negative("filled"), name="desk_orders_filled_not_negative"),
    CheckConstraint(_NOT_OVERFILLED, name="desk_orders_not_overfilled"),
    CheckConstraint(
        "(limit_price IS NOT NULL) = (type IN ('limit', 'stop_limit'))",
        name="desk_orders_limit_has_its_price",
    ),
    CheckConstraint(
        "(stop_price IS NOT NULL) = (type IN ('stop', 'stop_limit'))",
        name="desk_orders_stop_has_its_price",
    ),
    CheckConstraint("run_id IS NULL OR ordinal >= 1", name="desk_orders_of_a_run_are_counted"),
)
Index(
    "desk_orders_working",
    orders.c.account,
    orders.c.created_at,
    orders.c.id,
    sqlite_where=text("state IN ('new', 'open')"),
    postgresql_where=text("state IN ('new', 'open')"),
)
Index("desk_orders_account", orders.c.account, orders.c.created_at, orders.c.id)
Index(
    "desk_orders_run",
    orders.c.run_id,
    orders.c.ordinal,
    unique=True,
    sqlite_where=text("run_id IS NOT NULL"),
    postgresql_where=text("run_id IS NOT NULL"),
)

#: What became of orders, oldest first; lines are added and stay. NULL = unchanged.
order_history = Table(
    "desk_order_history",
    metadata,
    Column("order_id", Word, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("state", Word, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    _amount("filled", nullable=True),
    _amount("quantity", nullable=True),
    _amount("limit_price", nullable=True),
    _amount("stop_price", nullable=True),
    Column("broker_id", Word),
    Column("reason", Text),
    PrimaryKeyConstraint("order_id", "seq"),
    *_decimals("desk_order_history", "filled", "quantity", "limit_price", "stop_price"),
    CheckConstraint(is_one_of("state", ORDER_STATES), name="desk_order_history_state_known"),
)

#: The journal of each account, numbered without gaps; lines are added and stay.
#: Only the mark `archived_at` may be set, and it changes no balance.
entries = Table(
    "desk_entries",
    metadata,
    Column("account", Word, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Word, nullable=False),
    Column("happened_at", BigInteger, nullable=False),
    Column("currency", Word, nullable=False),
    _amount("amount"),
    _amount("fee"),
    Column("symbol", Word),
    _amount("quantity"),
    _amount("price"),
    Column("order_id", Word),
    Column("run_id", Word),
    Column("task", Word),
    Column("external_id", Word),
    Column("note", Text),
    Column("archived_at", BigInteger),
    PrimaryKeyConstraint("account", "seq"),
    *_decimals("desk_entries", "amount", "fee", "quantity", "price"),
    CheckConstraint(
        is_one_of("kind", ("fill", "cash", "dividend", "split", "charge")),
        name="desk_entries_kind_known",
    ),
    CheckConstraint(
        "kind <> 'fill' OR (symbol IS NOT NULL AND order_id IS NOT NULL AND "
        f"{_not_zero('quantity')})",
        name="desk_entries_fill_is_whole",
    ),
    CheckConstraint(
        "kind <> 'split' OR (symbol IS NOT NULL AND ltrim(amount, '-0.') = ''"
        f" AND ltrim(fee, '0.') = '' AND {_positive('price')})",
        name="desk_entries_split_moves_no_cash",
    ),
    CheckConstraint(
        "kind <> 'dividend' OR symbol IS NOT NULL", name="desk_entries_dividend_has_a_symbol"
    ),
    CheckConstraint("kind <> 'cash' OR symbol IS NULL", name="desk_entries_cash_has_no_symbol"),
)
Index("desk_entries_happened", entries.c.account, entries.c.happened_at)
Index(
    "desk_entries_external",
    entries.c.account,
    entries.c.external_id,
    unique=True,
    sqlite_where=text("external_id IS NOT NULL"),
    postgresql_where=text("external_id IS NOT NULL"),
)

#: What accounts were worth; the points of their equity curves.
snapshots = Table(
    "desk_snapshots",
    metadata,
    Column("account", Word, nullable=False),
    Column("taken_at", BigInteger, nullable=False),
    _amount("value"),
    _amount("cash"),
    _amount("peak"),
    _amount("flows"),
    _amount("realized"),
    _amount("unrealized"),
    _amount("exposure"),
    PrimaryKeyConstraint("account", "taken_at"),
    *_decimals(
        "desk_snapshots", "value", "cash", "peak", "flows", "realized", "unrealized", "exposure"
    ),
)

#: Conditions that hold at present, each with the run that acts on it.
latches = Table(
    "desk_latches",
    metadata,
    Column("account", Word, nullable=False),
    Column("name", Word, nullable=False),
    Column("run_id", Word, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "name"),
)

#: The files of bars that are the truth; a file that is not named here is not read.
market_files = Table(
    "desk_market_files",
    metadata,
    Column("symbol", Word, nullable=False),
    Column("timeframe", Word, nullable=False),
    Column("period", Word, nullable=False),
    Column("file", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("replaced_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("symbol", "timeframe", "period"),
    CheckConstraint("version >= 1 AND rows >= 1", name="desk_market_files_numbers_positive"),
    CheckConstraint("first_at <= last_at", name="desk_market_files_first_not_after_last"),
)

#: Splits and dividends. `value` is the ratio, or the amount per unit.
corporate_actions = Table(
    "desk_corporate_actions",
    metadata,
    Column("symbol", Word, nullable=False),
    Column("effective_at", BigInteger, nullable=False),
    Column("kind", Word, nullable=False),
    Column("value", Word, nullable=False, info={"amount": True}),
    PrimaryKeyConstraint("symbol", "effective_at", "kind", "value"),
    *_decimals("desk_corporate_actions", "value"),
    CheckConstraint(
        is_one_of("kind", ("split", "dividend")), name="desk_corporate_actions_kind_known"
    ),
    CheckConstraint(_positive("value"), name="desk_corporate_actions_value_positive"),
)

#: Finished backtests; what they found is in `desk_backtest_pages`.
backtests = Table(
    "desk_backtests",
    metadata,
    Column("id", Word, primary_key=True, nullable=False),
    Column("name", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("digest", Word, nullable=False),
)
Index("desk_backtests_finished", backtests.c.finished_at, backtests.c.id)

#: A backtest's equity curve, trades and so on, page by page.
backtest_pages = Table(
    "desk_backtest_pages",
    metadata,
    Column("backtest_id", Word, nullable=False),
    Column("kind", Word, nullable=False),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("backtest_id", "kind", "number"),
)
