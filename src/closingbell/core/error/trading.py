"""Errors of the desk: what trading refuses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from closingbell.core.error.root import ClosingbellError, near_name


class TradingError(ClosingbellError):
    """The desk refuses, or cannot."""

    code = "trading_error"


class OrderRefused(TradingError, ValueError):
    """An order, or an argument of one, that cannot be meant; nothing was stored or sent.

    Attributes:
        argument: which part.
        given: what the caller wrote.
        expected: what would have been right.
    """

    code = "order_refused"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"order refused: {argument} is {given!r}: expected {expected}")
        self.argument = argument
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class ArgumentRefused(TradingError, ValueError):
    """An argument of a call of the algorithm, other than an order's, that cannot be meant."""

    code = "argument_refused"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"{argument} is {given!r}: expected {expected}")
        self.argument = argument
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class InsufficientFunds(TradingError):
    """A purchase costs more than the account may spend."""

    code = "insufficient_funds"

    def __init__(self, symbol: str, needed: object, available: object, currency: str) -> None:
        super().__init__(
            f"order refused: {symbol} costs about {needed} {currency}, and {available} {currency} "
            "is free: buy less, cancel working orders, or give the account leverage"
        )
        self.symbol = symbol
        self.needed = str(needed)
        self.available = str(available)
        self.currency = currency


class InsufficientPosition(TradingError):
    """A sale of more than is held, in an account that does not sell short."""

    code = "insufficient_position"

    def __init__(self, symbol: str, wanted: object, available: object) -> None:
        super().__init__(
            f"order refused: {wanted} {symbol} to sell, and {available} is free: sell less, "
            "cancel working orders, or let the account sell short (short=True)"
        )
        self.symbol = symbol
        self.wanted = str(wanted)
        self.available = str(available)


class UnknownSymbol(TradingError, LookupError):
    """Nothing of that name is held or has market data."""

    code = "unknown_symbol"

    def __init__(self, symbol: str, known: Iterable[str] = ()) -> None:
        self.symbol = symbol
        self.near = near_name(symbol, known)
        hint = f"did you mean {self.near!r}?" if self.near else "store market data for it first"
        super().__init__(f"unknown symbol {symbol!r}: {hint}")


class AmbiguousSymbol(TradingError, LookupError):
    """A name without its quote currency that fits several symbols."""

    code = "ambiguous_symbol"

    def __init__(self, symbol: str, candidates: Iterable[str]) -> None:
        self.symbol = symbol
        self.candidates = sorted(candidates)
        super().__init__(
            f"{symbol!r} may be {' or '.join(self.candidates)}: name the quote currency too"
        )


class NoPrice(TradingError):
    """Something must be valued, and no price of it is known."""

    code = "no_price"

    def __init__(self, symbol: str, at: datetime | None = None) -> None:
        when = f" at {at.isoformat()}" if at else ""
        super().__init__(
            f"no price of {symbol} is known{when}: store market data for it, or wait for its first"
        )
        self.symbol = symbol
        self.at = at


class UnknownAccount(TradingError, LookupError):
    """No account of that name was added."""

    code = "unknown_account"

    def __init__(self, account: str, known: Iterable[str] = ()) -> None:
        self.account = account
        self.near = near_name(account, known)
        hint = f"did you mean {self.near!r}?" if self.near else "add it with app.add_account()"
        super().__init__(f"unknown account {account!r}: {hint}")


class AccountMismatch(TradingError):
    """An account is stored with other terms than the app declares."""

    code = "account_mismatch"

    def __init__(self, account: str, term: str, stored: object, declared: object) -> None:
        super().__init__(
            f"account {account!r} is stored with {term} {stored!s}, and the app says {declared!s}: "
            "declare it as it is stored, or give the account another name"
        )
        self.account = account
        self.term = term
        self.stored = str(stored)
        self.declared = str(declared)


class MarketDataError(TradingError, ValueError):
    """Bars, prices or a timeframe that cannot be right; nothing of them was stored.

    Attributes:
        symbol: whose, or the timeframe in question.
        problem: what is wrong.
        expected: what would have been right.
        row: which row of what was given, from 0; None for all of it.
    """

    code = "invalid_market_data"

    def __init__(self, symbol: str, problem: str, expected: str, row: int | None = None) -> None:
        where = "" if row is None else f", row {row}"
        super().__init__(f"market data {symbol!r}{where}: {problem}; {expected}")
        self.symbol = symbol
        self.problem = problem
        self.expected = expected
        self.row = row


class LookAhead(TradingError):
    """A read of market data that nobody could have known yet."""

    code = "look_ahead"

    def __init__(self, symbol: str, wanted: datetime, known_until: datetime) -> None:
        super().__init__(
            f"market data {symbol!r} up to {wanted.isoformat()} was asked for, and it is "
            f"{known_until.isoformat()}: nothing later is known"
        )
        self.symbol = symbol
        self.wanted = wanted
        self.known_until = known_until


class LedgerConflict(TradingError):
    """The ledger was changed meanwhile; read again and decide again."""

    code = "ledger_conflict"

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(
            f"{what} is at version {found}, not {expected}: it was changed meanwhile; read it again"
        )
        self.what = what
        self.expected = str(expected)
        self.found = str(found)


class FenceLost(TradingError):
    """The attempt no longer holds its run: nothing more may be done in its name."""

    code = "fence_lost"

    def __init__(self, run_id: str, fence: int) -> None:
        super().__init__(
            f"run {run_id} is no longer held under fence {fence}: another attempt has it, or it "
            "ended; this attempt may not trade any more"
        )
        self.run_id = run_id
        self.fence = fence


class BrokerError(TradingError):
    """The broker refused or failed; `retryable` says whether asking again may help."""

    code = "broker_error"
    retryable: ClassVar[bool] = False

    def __init__(self, broker: str, problem: str) -> None:
        super().__init__(f"broker {broker!r}: {problem}")
        self.broker = broker
        self.problem = problem


class BrokerRejected(BrokerError):
    """The broker has the order and does not want it; it certainly does not trade."""

    code = "broker_rejected"


class BrokerUnavailable(BrokerError):
    """No answer: whether the broker has the order is not known before it is asked."""

    code = "broker_unavailable"
    retryable = True


class BrokerNonsense(BrokerError):
    """An answer that cannot be read, or that contradicts what is known."""

    code = "broker_nonsense"


class BacktestError(TradingError, ValueError):
    """A backtest that cannot be run as it was asked for."""

    code = "backtest_error"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"backtest refused: {argument} is {given!s}: expected {expected}")
        self.argument = argument
        self.given = str(given)
        self.expected = expected


class UnknownBacktest(TradingError, LookupError):
    """No stored backtest has that id."""

    code = "unknown_backtest"

    def __init__(self, backtest_id: str, known: Iterable[str] = ()) -> None:
        self.backtest_id = backtest_id
        self.near = near_name(backtest_id, known)
        hint = f"did you mean {self.near!r}?" if self.near else "list them with `backtest list`"
        super().__init__(f"unknown backtest {backtest_id!r}: {hint}")


class BackupError(TradingError):
    """A copy of the database could not be written."""

    code = "backup_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"no backup was written to {path}: {problem}")
        self.path = path
        self.problem = problem


class ArchiveError(TradingError):
    """What is old could not be put into the archive; it stays in the database."""

    code = "archive_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"nothing was pruned: {path} cannot be written or read: {problem}")
        self.path = path
        self.problem = problem


class RestoreError(TradingError):
    """A copy of the database could not be restored; nothing was changed."""

    code = "restore_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"nothing was restored from {path}: {problem}")
        self.path = path
        self.problem = problem
