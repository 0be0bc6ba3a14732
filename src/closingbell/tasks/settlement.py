"""Settlement: closes the books of an account's session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from closingbell.core.amount import ZERO, to_decimal
from closingbell.core.bar import Dividend
from closingbell.core.book import Book
from closingbell.core.clock import to_micros
from closingbell.core.entry import Entry, EntryKind
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask
from closingbell.tasks.statement import ROUNDING, Statement, make_statements

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm
    from closingbell.trading.portfolio import Portfolio

_YEAR = Decimal(365)
_CENT = Decimal("0.01")
#: So often the books are read again when a trade comes between.
_LOOKS = 5


class Charge(NamedTuple):
    """What an account is charged, or below 0 earns; `note` names it within its session."""

    note: str
    amount: Decimal
    currency: str | None = None


class _Books(NamedTuple):
    """Journal and portfolio of one moment."""

    journal: Sequence[Entry]
    portfolio: Portfolio


class Settlement(ReadyTask):
    """Book the session's interest and charges, check its dividends, and draw up its statement.

    A statement begins where the one before ended. Its lines must explain the closing value, and
    the journal, added up by itself, must come to what the desk says; a difference is an alert,
    and never mended. Charges are booked once for each session, however often it is run.

    Interest is for calendar days since the settlement before, at 1/365 of a yearly rate each,
    rounded to cents.
    """

    def __init__(
        self,
        *,
        interest: Any = 0,
        margin_interest: Any = 0,
        borrow_fee: Any = 0,
        charges: Callable[[Algorithm], Iterable[Charge]] | None = None,
        name: str = "settlement",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs at its account's daily close unless `options` say when.

        Args:
            interest: a yearly rate that cash in the account's currency earns, as a fraction.
            margin_interest: a yearly rate that is paid on cash below 0.
            borrow_fee: a yearly rate that is paid on the worth of short positions.
            charges: what else is charged, such as funding; called once for each session.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            OrderRefused: a rate is no number.
            DefinitionError: an option cannot be read.
        """
        own = options.get("account", "main")
        default: TaskOptions = {"on_event": "daily_close", "where": f"account == {own!r}"}
        super().__init__(name, {**default, "tags": ["account"]}, options)
        self.interest = to_decimal(interest, "interest")
        self.margin_interest = to_decimal(margin_interest, "margin_interest")
        self.borrow_fee = to_decimal(borrow_fee, "borrow_fee")
        self.charges = charges

    def run(self, algorithm: Algorithm, session_date: str | None = None) -> dict[str, Any]:
        """Settle a session.

        Args:
            algorithm: of the run.
            session_date: of the session; default the date of now.

        Returns:
            The `statements` by currency, what was `charged`, dividends that are `missing`, and
            where the books stand, from which the next settlement goes on.
        """
        day = session_date or algorithm.now().date().isoformat()
        before = algorithm.get_last_result(self.name) or {}
        charged = self._charge(algorithm, day, before.get("session_date"))
        journal, portfolio = _books(algorithm)
        prices = {p.symbol: Decimal(p.price) for p in portfolio.positions}
        opening = {symbol: Decimal(price) for symbol, price in before.get("prices", {}).items()}
        statements = make_statements(journal, before.get("seq", 0) + 1, opening, prices)
        for statement in statements:
            self._judge(algorithm, statement, portfolio, day)
        now = to_micros(algorithm.context.as_of)
        missing = self._missing_dividends(algorithm, journal, before.get("at", 0), now)
        return {
            "session_date": day,
            "statements": [statement.to_dict() for statement in statements],
            "charged": charged,
            "missing": missing,
            "value": str(portfolio.total_value),
            "seq": journal[-1].seq if journal else 0,
            "at": now,
            "prices": {symbol: str(price) for symbol, price in prices.items()},
        }

    # --- charges -------------------------------------------------------------------------

    def _charge(self, algorithm: Algorithm, day: str, before: str | None) -> dict[str, str]:
        charged: dict[str, str] = {}
        for note, amount, currency in self._due(algorithm, day, before):
            if not amount:
                continue
            key = f"{self.name} {day} {note}"
            algorithm.charge(amount, f"{note} {day}", key=key, currency=currency)
            charged[note] = str(amount)
        return charged

    def _due(self, algorithm: Algorithm, day: str, before: str | None) -> list[Charge]:
        portfolio = algorithm.get_portfolio()
        days = 0 if before is None else _days(before, day)
        cash = Decimal(portfolio.cash_by_currency.get(portfolio.currency, ZERO))
        short = sum((-p.current_value for p in portfolio.positions if p.quantity < 0), ZERO)
        share = Decimal(days) / _YEAR
        due = [
            Charge("interest", -max(cash, ZERO) * self.interest * share),
            Charge("margin interest", -min(cash, ZERO) * self.margin_interest * share),
            Charge("borrow fee", Decimal(short) * self.borrow_fee * share),
        ]
        due = [charge._replace(amount=charge.amount.quantize(_CENT)) for charge in due]
        return [*due, *(self.charges(algorithm) if self.charges else ())]

    # --- checks --------------------------------------------------------------------------

    def _judge(
        self, algorithm: Algorithm, statement: Statement, portfolio: Portfolio, day: str
    ) -> None:
        if not statement.balances:
            algorithm.send_alert(
                f"the statement of {day} in {statement.currency} does not balance: "
                f"{statement.difference} are not explained",
                "CRITICAL",
                **statement.to_dict(),
            )
        told = portfolio.cash_by_currency.get(statement.currency, ZERO) + sum(
            (p.quantity * p.price for p in portfolio.positions if p.currency == statement.currency),
            ZERO,
        )
        if abs(told - statement.closing) > ROUNDING:
            algorithm.send_alert(
                f"the journal comes to {statement.closing} {statement.currency} on {day}, and the "
                f"desk says {told}",
                "CRITICAL",
                journal=str(statement.closing),
                desk=str(told),
            )

    def _missing_dividends(
        self, algorithm: Algorithm, journal: Sequence[Entry], since: int, now: int
    ) -> list[dict[str, str]]:
        """Return dividends of what was held that nobody booked; each is an alert."""
        missing = []
        for symbol in sorted({entry.symbol for entry in journal if entry.symbol}):
            for action in algorithm.get_corporate_actions(symbol):
                if not isinstance(action, Dividend) or not since < action.at <= now:
                    continue
                held = _held(journal, symbol, action.at)
                if held and not _is_booked(journal, action):
                    told = {"symbol": symbol, "amount": str(held * action.amount)}
                    missing.append(told)
                    algorithm.send_alert(
                        f"the dividend of {action.amount} on {held} {symbol} is not booked",
                        "ERROR",
                        **told,
                    )
        return missing


def _books(algorithm: Algorithm) -> _Books:
    """Return journal and portfolio of one moment, though trades go on."""
    for _ in range(_LOOKS):
        journal, portfolio = algorithm.get_journal(), algorithm.get_portfolio()
        if not algorithm.get_journal(after_seq=journal[-1].seq if journal else 0):
            break
    return _Books(journal, portfolio)


def _days(before: str, day: str) -> int:
    passed = datetime.fromisoformat(day).date() - datetime.fromisoformat(before).date()
    return max(passed.days, 0)


def _held(journal: Iterable[Entry], symbol: str, at: int) -> Decimal:
    """Return the position when an instant came."""
    return Book.of(entry for entry in journal if entry.at < at).quantity(symbol)


def _is_booked(journal: Iterable[Entry], dividend: Dividend) -> bool:
    return any(
        entry.kind is EntryKind.DIVIDEND
        and entry.symbol == dividend.symbol
        and entry.price == dividend.amount
        and abs(entry.at - dividend.at) < 7 * 86_400_000_000
        for entry in journal
    )
