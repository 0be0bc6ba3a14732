"""One-time codes: of sign-in addresses, and of sign-ins that are on their way to a provider."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import delete, select, update

from closingbell.core.error import TooManyRequests
from closingbell.store.audit import StoredAudit
from closingbell.store.codec import from_json, to_json
from closingbell.store.database import Database
from closingbell.store.door_schema import sign_in_codes
from closingbell.store.insert import insert_of

#: So many may be under way at once: anybody may begin a sign-in, and each is a row.
MOST = 10_000
#: Used and expired ones are kept so long, in microseconds.
_KEPT = 3_600_000_000


class Purpose(StrEnum):
    """What a code is for; one for the one thing never does for the other."""

    SIGN_IN = "sign-in"
    OIDC = "oidc"


class StoredSignInCodes:
    """Codes by their hash; each is good once."""

    def __init__(self, database: Database, audit: StoredAudit) -> None:
        self._database = database
        self._audit = audit

    def put(
        self, code_hash: str, purpose: Purpose, data: dict[str, Any], now: int, expires_at: int
    ) -> None:
        """Store a code, and forget those that are over. A sign-in address is an act of somebody.

        Raises:
            TooManyRequests: so many are under way that no more are taken.
        """
        columns = sign_in_codes.c
        row = {
            "id": code_hash,
            "purpose": purpose.value,
            "data": to_json(data),
            "created_at": now,
            "expires_at": expires_at,
        }
        with self._database.writing() as connection:
            connection.execute(delete(sign_in_codes).where(columns.expires_at < now - _KEPT))
            if purpose is Purpose.OIDC:
                many = select(columns.id).where(columns.expires_at > now).offset(MOST - 1).limit(1)
                if connection.execute(many).first() is not None:
                    raise TooManyRequests("sign-ins under way", 60.0)
            connection.execute(insert_of(connection)(sign_in_codes).values(row))
            if purpose is Purpose.SIGN_IN:
                self._audit.append_on(
                    connection,
                    "sign_in_address.made",
                    "sign-in address",
                    code_hash[:16],
                    after={**data, "expires_at": expires_at},
                )

    def take(self, code_hash: str, purpose: Purpose, now: int) -> dict[str, Any] | None:
        """Use a code up, and return its data; None when it is unknown, used or too old."""
        columns = sign_in_codes.c
        used = (
            update(sign_in_codes)
            .where(
                columns.id == code_hash,
                columns.purpose == purpose.value,
                columns.used_at.is_(None),
                columns.expires_at > now,
            )
            .values(used_at=now)
            .returning(columns.data)
        )
        with self._database.writing() as connection:
            text = connection.execute(used).scalar_one_or_none()
        if text is None:
            return None
        data: dict[str, Any] = from_json(text)
        return data
