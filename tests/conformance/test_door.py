"""The door's tables: tokens, sessions and one-time codes, on both stores."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from closingbell.core.actor import ActorKind, acting_as
from closingbell.core.error import TooManyRequests, UnknownSession, UnknownToken
from closingbell.core.role import Role
from closingbell.core.token import Token, hash_of
from closingbell.store import sign_in_codes
from closingbell.store.door_schema import web_sessions
from closingbell.store.sign_in_codes import Purpose
from closingbell.store.tokens import StoredToken
from closingbell.store.web_sessions import CameBy, StoredSession
from tests.conformance.desk import SECOND, Desk

DAY = 86_400 * SECOND
TOKEN = Token("0" * 16, "a" * 64)


def stored(desk: Desk, token: Token = TOKEN, role: Role = Role.ADMIN, **more: int) -> StoredToken:
    with acting_as("ann", ActorKind.PERSON):
        return desk.store.tokens.create(
            token.id, "robot", role, token.hash, desk.now, owner=None, **more
        )


def begun(desk: Desk, name: str = "s", token_id: str | None = None) -> StoredSession:
    session = StoredSession(
        id=hash_of(name),
        person="ann",
        role=Role.OPERATOR,
        is_person=True,
        came_by=CameBy.TOKEN,
        token_id=token_id,
        created_at=desk.now,
        seen_at=desk.now,
        expires_at=desk.now + DAY,
        ended_at=None,
    )
    desk.store.web_sessions.begin(session)
    return session


# --- tokens --------------------------------------------------------------------------------


def test_token_is_found_by_its_hash_alone(desk: Desk) -> None:
    made = stored(desk)
    assert desk.store.tokens.find(TOKEN.id, TOKEN.hash) == made
    assert desk.store.tokens.find(TOKEN.id, hash_of("another")) is None
    assert desk.store.tokens.find("1" * 16, TOKEN.hash) is None
    assert (made.created_by, made.role, made.is_usable(desk.now)) == ("ann", Role.ADMIN, True)


def test_token_in_the_audit_ledger_and_the_table_has_no_secret(desk: Desk) -> None:
    stored(desk)
    record = desk.store.audit.records(limit=1)[0]
    assert (record.action, record.actor, record.target_id) == ("token.created", "ann", TOKEN.id)
    assert TOKEN.secret not in str(record)
    assert TOKEN.hash not in str(record)
    with desk.store.database.reading() as connection:
        assert TOKEN.secret not in str(
            connection.execute(sa.text("SELECT * FROM api_tokens")).all()
        )


def test_token_is_usable_until_it_expires(desk: Desk) -> None:
    made = stored(desk, expires_at=desk.now + SECOND)
    assert made.is_usable(desk.now + SECOND - 1)
    assert not made.is_usable(desk.now + SECOND)
    assert desk.store.tokens.has_admin(desk.now)
    assert not desk.store.tokens.has_admin(desk.now + SECOND)


def test_token_of_an_operator_is_no_admins(desk: Desk) -> None:
    stored(desk, role=Role.OPERATOR)
    assert not desk.store.tokens.has_admin(desk.now)


def test_token_revoked_ends_the_sessions_that_were_begun_with_it(desk: Desk) -> None:
    stored(desk)
    own, other = begun(desk, "own", TOKEN.id), begun(desk, "other")
    with acting_as("eve", ActorKind.PERSON):
        assert desk.store.tokens.revoke(TOKEN.id, desk.now, "it was on a slide")
    revoked = desk.store.tokens.get(TOKEN.id)
    assert (revoked.revoked_at, revoked.revoked_by) == (desk.now, "eve")
    assert not revoked.is_usable(desk.now)
    ended = [desk.store.web_sessions.find(session.id) for session in (own, other)]
    assert [session and session.ended_at for session in ended] == [desk.now, None]
    record = desk.store.audit.records(limit=1)[0]
    assert (record.action, record.reason) == ("token.revoked", "it was on a slide")
    assert record.after == {"sessions_ended": 1}


def test_token_revoked_twice_is_one_act(desk: Desk) -> None:
    stored(desk)
    assert desk.store.tokens.revoke(TOKEN.id, desk.now)
    revision = desk.store.tokens.revision
    assert not desk.store.tokens.revoke(TOKEN.id, desk.now + 5)
    assert desk.store.tokens.revision == revision
    assert desk.store.tokens.get(TOKEN.id).revoked_at == desk.now
    actions = [record.action for record in desk.store.audit.records()]
    assert actions.count("token.revoked") == 1


def test_token_that_is_not_there_cannot_be_revoked_or_read(desk: Desk) -> None:
    with pytest.raises(UnknownToken):
        desk.store.tokens.revoke("nope", desk.now)
    with pytest.raises(UnknownToken):
        desk.store.tokens.get("nope")


def test_token_use_is_written_once_a_minute(desk: Desk) -> None:
    stored(desk)

    def used(at: int) -> int | None:
        desk.store.tokens.touch(desk.store.tokens.get(TOKEN.id), at)
        return desk.store.tokens.get(TOKEN.id).last_used_at

    assert used(desk.now) == desk.now
    assert used(desk.now + 59 * SECOND) == desk.now
    assert used(desk.now + 60 * SECOND) == desk.now + 60 * SECOND


def test_tokens_come_in_pages_the_newest_first(desk: Desk) -> None:
    for number in range(5):
        stored(desk, Token(f"{number:016x}", f"{number:064x}"))
    first = desk.store.tokens.page(3)
    rest = desk.store.tokens.page(3, (first[-1].created_at, first[-1].id))
    assert [token.id[-1] for token in first + rest] == ["4", "3", "2", "1", "0"]


# --- sessions ------------------------------------------------------------------------------


def test_session_is_open_until_it_expires_or_is_not_seen(desk: Desk) -> None:
    session = begun(desk)
    assert desk.store.web_sessions.find(session.id) == session
    idle = 3_600 * SECOND
    assert session.is_open(desk.now + idle - 1, idle)
    assert not session.is_open(desk.now + idle, idle)
    seen = replace(session, seen_at=desk.now + DAY)
    assert seen.is_open(desk.now + DAY - 1, idle)
    assert not seen.is_open(desk.now + DAY, idle)


def test_session_seen_is_written_once_a_minute(desk: Desk) -> None:
    session = begun(desk)
    desk.store.web_sessions.touch(session, desk.now + 59 * SECOND)
    found = desk.store.web_sessions.find(session.id)
    assert found is not None
    assert found.seen_at == desk.now
    desk.store.web_sessions.touch(found, desk.now + 60 * SECOND)
    later = desk.store.web_sessions.find(session.id)
    assert later is not None
    assert later.seen_at == desk.now + 60 * SECOND


def test_session_ended_is_recorded_and_gone_from_the_list(desk: Desk) -> None:
    one, other = begun(desk, "one"), begun(desk, "other")
    revision = desk.store.web_sessions.revision
    assert desk.store.web_sessions.end(one.id, desk.now, "a lost laptop")
    assert desk.store.web_sessions.revision > revision
    assert not desk.store.web_sessions.end(one.id, desk.now)
    assert [s.id for s in desk.store.web_sessions.page(desk.now, DAY, 10)] == [other.id]
    record = desk.store.audit.records(limit=1)[0]
    assert (record.action, record.reason) == ("session.ended", "a lost laptop")


def test_session_that_is_not_there_cannot_be_ended(desk: Desk) -> None:
    with pytest.raises(UnknownSession):
        desk.store.web_sessions.end("nope", desk.now)


def test_session_list_has_pages_and_only_open_ones(desk: Desk) -> None:
    ids = {begun(desk, f"s{number}").id for number in range(5)}
    first = desk.store.web_sessions.page(desk.now, DAY, 3)
    rest = desk.store.web_sessions.page(desk.now, DAY, 3, (first[-1].created_at, first[-1].id))
    assert {session.id for session in first + rest} == ids
    assert len(first + rest) == 5
    assert desk.store.web_sessions.page(desk.now + DAY, DAY * 2, 10) == []
    assert desk.store.web_sessions.page(desk.now + 10, 10, 10) == []


def test_session_that_ended_long_ago_is_forgotten(desk: Desk) -> None:
    old = begun(desk, "old")
    young = replace(old, id=hash_of("young"), created_at=desk.now + 40 * DAY)
    desk.store.web_sessions.begin(young)
    assert desk.store.web_sessions.find(old.id) is None
    assert desk.store.web_sessions.find(young.id) is not None


# --- one-time codes ------------------------------------------------------------------------


def test_code_is_good_once_for_its_purpose_and_in_time(desk: Desk) -> None:
    codes, until = desk.store.sign_in_codes, desk.now + SECOND
    for name in ("used", "late", "other"):
        codes.put(hash_of(name), Purpose.SIGN_IN, {"name": "ann"}, desk.now, until)
    assert codes.take(hash_of("other"), Purpose.OIDC, desk.now) is None
    assert codes.take(hash_of("late"), Purpose.SIGN_IN, until) is None
    assert codes.take(hash_of("used"), Purpose.SIGN_IN, desk.now) == {"name": "ann"}
    assert codes.take(hash_of("used"), Purpose.SIGN_IN, desk.now) is None
    assert codes.take(hash_of("none"), Purpose.SIGN_IN, desk.now) is None


def test_code_taken_by_many_at_once_is_one_ones(desk: Desk) -> None:
    desk.store.sign_in_codes.put(hash_of("c"), Purpose.SIGN_IN, {}, desk.now, desk.now + SECOND)
    taken: list[object] = []

    def take() -> None:
        taken.append(desk.store.sign_in_codes.take(hash_of("c"), Purpose.SIGN_IN, desk.now))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in taken if one is not None] == [{}]


def test_code_that_is_over_is_forgotten(desk: Desk) -> None:
    codes = desk.store.sign_in_codes
    codes.put(hash_of("a"), Purpose.OIDC, {}, desk.now, desk.now + SECOND)
    codes.put(hash_of("b"), Purpose.OIDC, {}, desk.now + DAY, desk.now + DAY + SECOND)
    with desk.store.database.reading() as connection:
        ids = connection.execute(sa.text("SELECT id FROM sign_in_codes")).scalars().all()
    assert ids == [hash_of("b")]


def test_codes_that_anybody_may_ask_for_are_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_codes, "MOST", 3)
    codes = desk.store.sign_in_codes
    for number in range(3):
        codes.put(hash_of(str(number)), Purpose.OIDC, {}, desk.now, desk.now + SECOND)
    with pytest.raises(TooManyRequests):
        codes.put(hash_of("more"), Purpose.OIDC, {}, desk.now, desk.now + SECOND)
    # Who has access to the store is not kept out by those who have none.
    codes.put(hash_of("mine"), Purpose.SIGN_IN, {}, desk.now, desk.now + SECOND)
    codes.put(hash_of("later"), Purpose.OIDC, {}, desk.now + SECOND, desk.now + 2 * SECOND)


def test_session_row_holds_no_cookie(desk: Desk) -> None:
    begun(desk, "the cookie's secret")
    with desk.store.database.reading() as connection:
        rows = connection.execute(sa.select(web_sessions)).all()
    assert "the cookie's secret" not in str(rows)
