"""Which files of bars are the truth, and the corporate actions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, delete, select, update

from closingbell.core.actor import who_asks
from closingbell.core.amount import plain
from closingbell.core.bar import CorporateAction, Dividend, Split
from closingbell.core.error import LedgerConflict
from closingbell.core.ledger import Fact, FileVersion
from closingbell.store.announcer import Announcer
from closingbell.store.audit import StoredAudit
from closingbell.store.database import Database
from closingbell.store.insert import insert_of
from closingbell.store.trading_schema import corporate_actions, market_files


class StoredManifest:
    """The `Manifest` of both stores; see the port for the contract."""

    def __init__(self, database: Database, announcer: Announcer, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit
        self._announcer = announcer

    def files(self, symbol: str | None = None, timeframe: str | None = None) -> list[FileVersion]:
        columns = market_files.c
        query = select(*list(columns)[:-1]).order_by(
            columns.symbol, columns.timeframe, columns.period
        )
        if symbol is not None:
            query = query.where(columns.symbol == symbol)
        if timeframe is not None:
            query = query.where(columns.timeframe == timeframe)
        with self._database.reading() as connection:
            return [FileVersion(*row) for row in connection.execute(query)]

    def replace(
        self,
        files: Sequence[FileVersion],
        gone: Sequence[FileVersion],
        facts: Sequence[Fact],
        at: int,
    ) -> None:
        with self._database.writing(news=bool(facts)) as connection:
            # Two writers meet the same rows in the same order, and so do not wait in a circle.
            replaced = {file[:3] for file in files}
            for file in sorted([*files, *(one for one in gone if one[:3] not in replaced)]):
                if file[:3] in replaced:
                    _put(connection, file, at)
                else:
                    _remove(connection, file)
            started = self._announcer.announce(connection, facts)
            # Tasks bring bars all day, and their runs say so.
            if who_asks() is not None:
                for name, told in _changes(files, gone).items():
                    self._audit.append_on(
                        connection, "market_data.changed", "market data", name, after=told
                    )
        self._announcer.follow_up(started)

    def actions(self) -> list[CorporateAction]:
        columns = corporate_actions.c
        query = select(columns.symbol, columns.effective_at, columns.kind, columns.value).order_by(
            columns.effective_at, columns.symbol, columns.kind, columns.value
        )
        with self._database.reading() as connection:
            return [
                (Split if kind == "split" else Dividend)(symbol, at, Decimal(value))
                for symbol, at, kind, value in connection.execute(query)
            ]

    def put_actions(self, actions: Sequence[CorporateAction]) -> int:
        rows = [
            {
                "symbol": action.symbol,
                "effective_at": action.at,
                "kind": "split" if isinstance(action, Split) else "dividend",
                "value": _shortest(action[2]),
            }
            for action in actions
        ]
        if not rows:
            return 0
        with self._database.writing() as connection:
            fresh = insert_of(connection)(corporate_actions).on_conflict_do_nothing()
            made = fresh.returning(corporate_actions.c.symbol)
            symbols = [row.symbol for row in connection.execute(made, rows)]
            if symbols and who_asks() is not None:
                told = {"actions": len(symbols)}
                for name in sorted(set(symbols)):
                    self._audit.append_on(
                        connection, "corporate_actions.added", "market data", name, after=told
                    )
            return len(symbols)


def _changes(
    files: Sequence[FileVersion], gone: Sequence[FileVersion]
) -> dict[str, dict[str, int]]:
    """Return, by symbol and timeframe, how many files and bars there are anew, and files less."""
    told: dict[str, dict[str, int]] = {}
    for file in files:
        into = told.setdefault(
            f"{file.symbol} {file.timeframe}", {"files": 0, "bars": 0, "files_gone": 0}
        )
        into["files"] += 1
        into["bars"] += file.rows
    for file in gone:
        into = told.setdefault(
            f"{file.symbol} {file.timeframe}", {"files": 0, "bars": 0, "files_gone": 0}
        )
        into["files_gone"] += 1
    return told


def _key(file: FileVersion) -> Any:
    columns = market_files.c
    return and_(
        columns.symbol == file.symbol,
        columns.timeframe == file.timeframe,
        columns.period == file.period,
    )


def _remove(connection: Connection, file: FileVersion) -> None:
    present = and_(_key(file), market_files.c.version == file.version)
    if connection.execute(delete(market_files).where(present)).rowcount != 1:
        raise _conflict(connection, file, file.version)


def _put(connection: Connection, file: FileVersion, at: int) -> None:
    values = {
        "file": file.file,
        "version": file.version,
        "rows": file.rows,
        "first_at": file.first,
        "last_at": file.last,
        "replaced_at": at,
    }
    before = file.version - 1
    if before == 0:
        key = {"symbol": file.symbol, "timeframe": file.timeframe, "period": file.period}
        fresh = insert_of(connection)(market_files).values(**key, **values)
        made = fresh.on_conflict_do_nothing().returning(market_files.c.version)
        done = len(connection.execute(made).all())
    else:
        present = and_(_key(file), market_files.c.version == before)
        done = connection.execute(update(market_files).where(present).values(**values)).rowcount
    if done != 1:
        raise _conflict(connection, file, before)


def _conflict(connection: Connection, file: FileVersion, expected: int) -> LedgerConflict:
    found = connection.execute(select(market_files.c.version).where(_key(file))).scalar()
    name = f"the file of {file.symbol} {file.timeframe} {file.period}"
    return LedgerConflict(name, expected or "none", found or "none")


def _shortest(value: Decimal) -> str:
    """Return an amount without zeros at its end: the same action always has the same text."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
