"""Turns: which of several processes does something at present, where one is enough."""

from __future__ import annotations

from sqlalchemy import Connection, select

from closingbell.store.database import Database
from closingbell.store.insert import upsert
from closingbell.store.schema import facts


class StoredTurns:
    """Short leases by name. Whoever holds none may still do the work: it is only done twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take a turn, or keep it; False while another holds it.

        Args:
            name: of what.
            holder: who asks.
            now: the machine's time.
            until: when it ends; it is only written when half of what was held is over.
        """
        with self._database.reading() as connection:
            held_by, ends = _holder(connection, name)
        if ends > now and (held_by != holder or 2 * (ends - now) > until - now):
            return held_by == holder
        with self._database.writing() as connection:
            held_by, ends = _holder(connection, name, hold=True)
            if held_by != holder and ends > now:
                return False
            upsert(connection, facts, {"name": name}, {"value": f"{until} {holder}"})
        return True

    def leave(self, name: str, holder: str) -> None:
        """Give a turn back."""
        with self._database.writing() as connection:
            if _holder(connection, name, hold=True)[0] == holder:
                upsert(connection, facts, {"name": name}, {"value": f"0 {holder}"})


def _holder(connection: Connection, name: str, hold: bool = False) -> tuple[str, int]:
    query = select(facts.c.value).where(facts.c.name == name)
    value = connection.execute(query.with_for_update() if hold else query).scalar_one_or_none()
    until, _, holder = (value or "0 ").partition(" ")
    return holder, int(until) if until.isdecimal() else 0
