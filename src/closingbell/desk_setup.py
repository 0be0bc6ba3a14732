"""Desk setup: accounts as an app declares them, and their brokers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from types import CodeType
from typing import TYPE_CHECKING, Any, TypedDict
from zoneinfo import ZoneInfo

from closingbell.core.error import (
    AccountError,
    CalendarError,
    MarketDataError,
    UnknownAccount,
    near_name,
)

if TYPE_CHECKING:
    from closingbell.core.clock import Clock
    from closingbell.core.task import TaskDefinition
    from closingbell.trading.broker.protocol import Broker
    from closingbell.trading.terms import AccountTerms

#: The account of a task that names none.
MAIN = "main"


class BrokerOptions(TypedDict, total=False):
    """What an account's broker may be told; all may be left out.

    Of broker="paper" and "simulated":
        fee: of each trade, such as "0.1%", "0.005 per unit, min 1" or "1 per order".
        slippage: by how much market orders trade worse, such as "0.05%" or "random 0.1%".
        fill: market orders trade at the "next_open" (default), or at the "close" of their bar.
        volume_share: at most this fraction of a bar's volume, such as 0.1.
        seed: of random slippage.
    Of broker="ccxt":
        exchange: ccxt's name of it, such as "binance" (needed).
        key, secret, password, uid: what the exchange gave you.
        sandbox: its test network (default True); real money is traded only with False.
        options: of the exchange, as ccxt knows them.
        rate: a rate limit that is shared with all who name it, such as "1200/1m@binance".
        base_url: another address than the exchange's own.
        timeout_s, window_s, settle_s, patience_s: how long it waits for what.
    """

    fee: Any
    slippage: Any
    fill: str
    volume_share: Any
    seed: int
    exchange: str
    key: str
    secret: str
    password: str
    uid: str
    sandbox: bool
    options: Mapping[str, Any]
    rate: str
    base_url: str
    timeout_s: float
    window_s: float
    settle_s: float
    patience_s: float


_MATCHING = frozenset({"fee", "slippage", "fill", "volume_share", "seed"})
_CCXT = frozenset(BrokerOptions.__annotations__) - _MATCHING
_KNOWN = {"paper": _MATCHING, "simulated": _MATCHING, "ccxt": _CCXT}


def read_account(
    name: Any,
    cash: Any,
    currency: Any,
    broker: Any,
    *,
    timeframe: str,
    calendar: str | None,
    short: Any,
    leverage: Any,
    lot: Any,
    max_drawdown: Any,
    options: Mapping[str, Any],
    taken: Collection[str] = (),
) -> AccountTerms:
    """Return the terms of an account; `App.add_account` says what they mean.

    Raises:
        AccountError: one of them is impossible.
        SettingError: an option of its broker cannot be read.
    """
    from closingbell.core.bar import timeframe_seconds
    from closingbell.scheduler.calendar_book import get_calendar
    from closingbell.trading.terms import AccountTerms

    def refuse(term: str, given: object, expected: str) -> AccountError:
        return AccountError(str(name), term, given, expected)

    def number(term: str, given: Any, fits: Callable[[Decimal], bool], expected: str) -> Decimal:
        from closingbell.core.amount import to_decimal

        try:
            value = to_decimal(given, term)
        except ValueError:
            raise refuse(term, given, expected) from None
        if not fits(value):
            raise refuse(term, given, expected)
        return value

    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 200:
        raise refuse("name", name, "text of 1 to 200 characters")
    if name in taken:
        raise refuse("name", name, "one that no other account has")
    if not isinstance(currency, str) or not currency.strip() or "/" in currency:
        raise refuse("currency", currency, "one such as 'USD'")
    if not isinstance(short, bool):
        raise refuse("short", short, "True or False")
    if isinstance(broker, str) and broker not in _KNOWN:
        raise refuse("broker", broker, "'paper', 'simulated', 'ccxt', or a Broker")
    chosen = calendar or ("24/7" if broker == "ccxt" else "XNYS")
    try:
        timeframe_seconds(timeframe)
        get_calendar(chosen)
    except MarketDataError as problem:
        expected = problem.expected.removeprefix("expected ")
        raise refuse("timeframe", timeframe, expected) from problem
    except CalendarError as problem:
        hint = problem.problem.removeprefix("unknown venue: ")
        raise refuse("calendar", calendar, f"a known venue; {hint}") from problem
    terms = AccountTerms(
        name=name,
        cash=number("cash", cash, lambda v: 0 <= v < 10**15, "an amount, 0 or more"),
        currency=currency,
        broker=broker,
        timeframe=timeframe,
        calendar=chosen,
        short=short,
        leverage=number("leverage", leverage, lambda v: v >= 1, "a number, 1 or more"),
        lot=None if lot is None else number("lot", lot, lambda v: v > 0, "a number above 0"),
        max_drawdown=(
            None
            if max_drawdown is None
            else number("max_drawdown", max_drawdown, lambda v: 0 < v < 1, "a fraction, as 0.15")
        ),
        options=tuple(sorted(options.items())),
    )
    _check_options(terms)
    return terms


def _check_options(terms: AccountTerms) -> None:
    from closingbell.trading.broker.protocol import Broker

    options = dict(terms.options)
    if not isinstance(terms.broker, str):
        if not isinstance(terms.broker, Broker):
            expected = "'paper', 'simulated', 'ccxt', or an object derived from Broker"
            raise AccountError(terms.name, "broker", terms.broker, expected)
        known: frozenset[str] = frozenset()
    else:
        known = _KNOWN[terms.broker]
    for option in options.keys() - known:
        near = near_name(option, known)
        hint = f"one of {', '.join(sorted(known))}" + (f"; did you mean {near!r}?" if near else "")
        raise AccountError(terms.name, "option", option, hint if known else "none beside a Broker")
    if terms.broker == "ccxt":
        if not options.get("exchange"):
            raise AccountError(terms.name, "exchange", None, "ccxt's name of it, such as 'binance'")
    elif isinstance(terms.broker, str):
        matching_broker(terms)


def matching_broker(terms: AccountTerms, **overrides: Any) -> Broker:
    """Return the broker that fills an account's orders from bars.

    Args:
        terms: of the account; only the options of a paper or simulated broker count.
        overrides: options that lead over the account's own.

    Raises:
        SettingError: an option cannot be read.
    """
    from closingbell.trading.broker.paper import PaperBroker
    from closingbell.trading.broker.simulated import SimulatedBroker

    options = {name: value for name, value in terms.options if name in _MATCHING}
    options.update({name: value for name, value in overrides.items() if value is not None})
    fees = options.pop("fee", None)
    kind = PaperBroker if terms.broker == "paper" else SimulatedBroker
    return kind(fees=fees, **options)


def live_broker(terms: AccountTerms, clock: Clock) -> Broker:
    """Return the broker of an account in a running app.

    Raises:
        SettingError: ccxt is missing, or an option cannot be read.
    """
    if terms.broker == "ccxt":
        from closingbell.trading.broker.ccxt_broker import CcxtBroker

        return CcxtBroker(**{**dict(terms.options), "clock": clock})
    if isinstance(terms.broker, str):
        broker = matching_broker(terms)
        # Also the plain simulated broker trades no real money, and this is no backtest.
        broker.mode = "paper"
        return broker
    given: Broker = terms.broker
    return given


def takes_algorithm(task: TaskDefinition) -> bool:
    """Whether a task's handler has a parameter `algorithm`."""
    return "algorithm" in inspect.signature(task.handler).parameters


def check_accounts(tasks: Iterable[TaskDefinition], accounts: Mapping[str, AccountTerms]) -> None:
    """Refuse tasks that name an account which nobody added.

    Raises:
        UnknownAccount: a task names one.
    """
    for task in tasks:
        # Many tasks never trade: who names no account is asked when it asks for one.
        if task.account != MAIN and task.account not in accounts and takes_algorithm(task):
            raise UnknownAccount(task.account, accounts)


def reads_machine_time(task: TaskDefinition) -> bool:
    """Whether a task's own code names `datetime.now`, `datetime.today` or `date.today`."""
    owner = getattr(task.handler, "__self__", None)
    functions = [task.handler] if owner is None else list(vars(type(owner)).values())
    codes = [code for f in functions if (code := getattr(f, "__code__", None)) is not None]
    while codes:
        code = codes.pop()
        if {"now", "today"} & set(code.co_names) and {"datetime", "date"} & set(code.co_names):
            return True
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return False


def differing_zones(tasks: Iterable[TaskDefinition], timezone: str, clock: Clock) -> str | None:
    """Say which tasks `datetime.now()` may mislead, and how, or None."""
    now = clock.now()
    here, there = now.astimezone(), now.astimezone(ZoneInfo(timezone))
    if here.utcoffset() == there.utcoffset():
        return None
    misled = [task.name for task in tasks if takes_algorithm(task) and reads_machine_time(task)]
    if not misled:
        return None
    return (
        f"datetime.now() in {', '.join(misled)} is the machine's time (UTC{here:%z}), and the "
        f"algorithm's datetimes are those of {timezone} (UTC{there:%z}): what compares the two is "
        "wrong by the difference; use algorithm.now(), or create_app(timezone=...)"
    )
