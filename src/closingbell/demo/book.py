"""The desk's own tables, beside the engine's in the same database, and what it holds.

Prices are kept as decimal text: SQLite's own numbers are binary.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.demo.prices import Bar

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: Shares held, about a million dollars of each stock in November 2012. Invented.
POSITIONS: dict[str, int] = {
    "AAPL": 2_000,
    "FB": 45_000,
    "GOOG": 1_500,
    "IBM": 5_000,
    "MSFT": 40_000,
}

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS demo_bars (symbol TEXT NOT NULL, day TEXT NOT NULL,"
    " open TEXT NOT NULL, close TEXT NOT NULL, volume INTEGER NOT NULL,"
    " PRIMARY KEY (symbol, day))",
    "CREATE TABLE IF NOT EXISTS demo_quotes (symbol TEXT NOT NULL, day TEXT NOT NULL,"
    " price TEXT NOT NULL, previous_close TEXT NOT NULL, PRIMARY KEY (symbol, day))",
    "CREATE TABLE IF NOT EXISTS demo_reports (day TEXT NOT NULL PRIMARY KEY,"
    " valuation_run TEXT NOT NULL, value TEXT NOT NULL, day_change TEXT NOT NULL,"
    " value_at_risk TEXT NOT NULL, volatility TEXT NOT NULL)",
)


class Book:
    """The desk's tables in one SQLite file; each method takes part in the caller's transaction."""

    def __init__(self, path: Path) -> None:
        """Name the file; `create` makes the tables."""
        self.path = path
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Return the desk's own SQLAlchemy engine, as a user's code would have one."""
        from sqlalchemy import create_engine

        if self._engine is None:
            self._engine = create_engine(f"sqlite:///{self.path}", connect_args={"timeout": 30})
        return self._engine

    def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            self._engine.dispose()

    def create(self) -> None:
        """Make the tables that are missing."""
        from sqlalchemy import text

        with self.engine().begin() as connection:
            for statement in _SCHEMA:
                connection.execute(text(statement))

    def store_bars(self, connection: Connection, bars: Iterable[Bar]) -> int:
        """Insert bars that are not stored yet; return how many were new."""
        from sqlalchemy import text

        insert = text(
            "INSERT OR IGNORE INTO demo_bars (symbol, day, open, close, volume)"
            " VALUES (:symbol, :day, :open, :close, :volume)"
        )
        return sum(
            connection.execute(
                insert,
                {
                    "symbol": bar.symbol,
                    "day": bar.day.isoformat(),
                    "open": str(bar.open),
                    "close": str(bar.close),
                    "volume": bar.volume,
                },
            ).rowcount
            for bar in bars
        )

    def store_quote(
        self, connection: Connection, symbol: str, day: date, price: Decimal, before: Decimal
    ) -> None:
        """Insert or replace the price at which a stock opened."""
        from sqlalchemy import text

        connection.execute(
            text("INSERT OR REPLACE INTO demo_quotes VALUES (:symbol, :day, :price, :before)"),
            {"symbol": symbol, "day": day.isoformat(), "price": str(price), "before": str(before)},
        )

    def last_bar_day(self) -> str | None:
        """Return the date of the newest stored bar, or None."""
        from sqlalchemy import text

        with self.engine().connect() as connection:
            found = connection.execute(text("SELECT max(day) FROM demo_bars")).scalar()
        return None if found is None else str(found)

    def market_value(self) -> Decimal | None:
        """Return the value of all positions at their latest stored prices, or None."""
        from sqlalchemy import text

        query = text(
            "SELECT symbol, price FROM demo_quotes q WHERE day ="
            " (SELECT max(day) FROM demo_quotes WHERE symbol = q.symbol)"
        )
        with self.engine().connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return None
        return sum((Decimal(price) * POSITIONS[symbol] for symbol, price in rows), Decimal())

    def store_report(self, row: dict[str, Any]) -> None:
        """Insert or replace the report of one day."""
        from sqlalchemy import text

        statement = text(
            "INSERT OR REPLACE INTO demo_reports VALUES"
            " (:day, :valuation_run, :value, :day_change, :value_at_risk, :volatility)"
        )
        with self.engine().begin() as connection:
            connection.execute(statement, row)

    def reports(self) -> list[dict[str, Any]]:
        """Return all reports, oldest first."""
        from sqlalchemy import text

        with self.engine().connect() as connection:
            found = connection.execute(text("SELECT * FROM demo_reports ORDER BY day"))
            return [dict(row._mapping) for row in found]

    def forget_bars(self, keep: int) -> int:
        """Delete all but the newest `keep` trading dates; return how many bars went."""
        from sqlalchemy import text

        statement = text(
            "DELETE FROM demo_bars WHERE day NOT IN"
            " (SELECT DISTINCT day FROM demo_bars ORDER BY day DESC LIMIT :keep)"
        )
        with self.engine().begin() as connection:
            return connection.execute(statement, {"keep": keep}).rowcount
