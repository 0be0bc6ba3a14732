"""Signing in with a provider: there and back, whom it vouches for, and every lie it could tell."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from closingbell.core.error import SettingError
from tests.integration.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, rsa_key
from tests.unit.api.door_rig import START, Door

ROLES = "desk-admins=admin, traders=operator,auditors=viewer"


class Organisation:
    """A service, its provider, and a browser."""

    def __init__(self, address: str, **settings: Any) -> None:
        from closingbell.core.clock import SimulatedClock

        self.provider = OidcProvider(SimulatedClock(START))
        given = {
            "oidc_issuer": self.provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_roles": ROLES,
            **settings,
        }
        self.door = Door(address, **given)
        self.provider._clock = self.door.clock

    def leave(self, client: httpx.Client, following: str = "/openapi.json") -> str:
        """Go to the provider, and return the address that it sends the browser back to."""
        away = client.get("/oidc/start", params={"next": following})
        assert away.status_code == 303, away.text
        back: str = httpx.get(away.headers["location"], follow_redirects=False).headers["location"]
        return back

    def sign_in(self, client: httpx.Client) -> httpx.Response:
        """Go there and come back."""
        return client.get(self.leave(client))


@pytest.fixture
def organisation(sqlite_address: str, request: pytest.FixtureRequest) -> Iterator[Organisation]:
    made = Organisation(sqlite_address, **getattr(request, "param", {}))
    with made.provider:
        yield made
    made.door.app.stop()


def refusal(organisation: Organisation) -> str:
    """Sign in, be refused, and return why."""
    sessions = organisation.door.app.store.web_sessions
    before = sessions.page(0, 10**18, 10)
    with organisation.door.client() as client:
        answer = organisation.sign_in(client)
        assert answer.status_code == 401, answer.text
        assert "closingbell_session" not in client.cookies
        assert sessions.page(0, 10**18, 10) == before
        return answer.text.partition('id="problem">')[2].partition("</p>")[0]


def test_person_of_the_provider_is_signed_in_with_their_role(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        page = organisation.sign_in(client)
        assert page.status_code == 200
        assert 'content="0; url=/openapi.json"' in page.text
        assert client.get("/api/v1/session").json() == {
            "name": "ann@desk.example",
            "role": "operator",
            "is_person": True,
            "came_by": "oidc",
            "expires_at": "2026-03-09T14:30:00Z",
            "csrf_token": client.get("/api/v1/session").json()["csrf_token"],
            "timezone": "UTC",
        }
        assert client.get("/openapi.json").status_code == 200
        # What it took is gone.
        assert "closingbell_oidc" not in client.cookies
    record = organisation.door.app.store.audit.records(limit=1)[0]
    assert (record.action, record.actor) == ("session.begun", "ann@desk.example")


def test_form_offers_the_provider(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        page = client.get("/sign-in", params={"next": "/a?b=c&d"})
    assert 'href="/oidc/start?next=%2Fa%3Fb%3Dc%26d"' in page.text
    assert "Sign in with 127.0.0.1" in page.text


def test_request_to_the_provider_binds_the_sign_in(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        organisation.leave(client)
        organisation.leave(client)
    first, second = organisation.provider.asked
    assert (first["response_type"], first["code_challenge_method"]) == ("code", "S256")
    assert "openid" in first["scope"].split()
    assert first["redirect_uri"] == "http://127.0.0.1/oidc/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 32
        assert first[name] != second[name]


def test_store_holds_no_secret_of_a_sign_in_under_way(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        organisation.leave(client)
        kept = dict(client.cookies)["closingbell_oidc"]
    with organisation.door.app.store.database.reading() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM sign_in_codes").all())
    asked = organisation.provider.asked[0]
    for secret in (kept, asked["state"], asked["nonce"]):
        assert secret not in rows


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["auditors"], "viewer"),
        (["auditors", "desk-admins", "x"], "admin"),
        ("traders", "operator"),
        (["traders", 7, None, {}], "operator"),
    ],
)
def test_role_is_the_highest_of_the_groups(
    organisation: Organisation, groups: object, role: str
) -> None:
    organisation.provider.claims["groups"] = groups
    with organisation.door.client() as client:
        organisation.sign_in(client)
        assert client.get("/api/v1/session").json()["role"] == role


@pytest.mark.parametrize(
    "groups", [[], ["others"], None, "Traders", ["traders "], 7, {"traders": 1}, ...]
)
def test_person_without_a_role_is_refused(organisation: Organisation, groups: object) -> None:
    organisation.provider.claims["groups"] = groups
    assert "no group that has a role" in refusal(organisation)


@pytest.mark.parametrize(
    "organisation",
    [{"oidc_role_claim": "realm_access.roles", "oidc_roles": "desk=admin,*=viewer"}],
    indirect=True,
)
def test_role_may_stand_in_an_object_and_everybody_else_have_one(
    organisation: Organisation,
) -> None:
    for realm, role in (({"roles": ["desk"]}, "admin"), ({"roles": []}, "viewer"), (7, "viewer")):
        organisation.provider.claims["realm_access"] = realm
        with organisation.door.client() as client:
            organisation.sign_in(client)
            assert client.get("/api/v1/session").json()["role"] == role


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iss": "http://evil.example"}, "iss"),
        ({"iss": ...}, "iss"),
        ({"aud": "another client"}, "aud"),
        ({"aud": ["another client"]}, "aud"),
        ({"aud": ...}, "aud"),
        ({"aud": [CLIENT_ID, "another client"]}, "another client"),
        ({"aud": [CLIENT_ID, "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"sub": ...}, "sub"),
        ({"exp": ...}, "exp"),
        ({"exp": "never"}, "exp"),
        ({"iat": ...}, "iat"),
        ({"nonce": "0" * 64}, "another sign-in"),
        ({"nonce": ...}, "another sign-in"),
        ({"nonce": ["x"]}, "another sign-in"),
        ({"email": ...}, "does not say your email"),
        ({"email": ""}, "does not say your email"),
        ({"email": "a\nb"}, "does not say your email"),
        ({"email": ["ann"]}, "does not say your email"),
        ({"email_verified": False}, "vouch for your e-mail"),
    ],
)
def test_id_token_with_a_wrong_claim_is_refused(
    organisation: Organisation, claims: dict[str, Any], says: str
) -> None:
    organisation.provider.claims.update(claims)
    assert says in refusal(organisation)


def test_id_token_is_checked_by_the_apps_clock_with_a_minutes_grace(
    organisation: Organisation,
) -> None:
    now = organisation.door.clock.micros() // 1_000_000
    for wrong in ({"exp": now - 61}, {"iat": now + 61}, {"nbf": now + 61}):
        before = dict(organisation.provider.claims)
        organisation.provider.claims.update(wrong)
        assert "does not hold" in refusal(organisation)
        organisation.provider.claims = before
    organisation.provider.claims.update({"exp": now - 59, "iat": now + 59, "nbf": now + 59})
    with organisation.door.client() as client:
        assert organisation.sign_in(client).status_code == 200


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_id_token_that_nobody_signed_is_refused(organisation: Organisation) -> None:
    provider = organisation.provider
    kid = {"kid": provider.key.kid}
    provider.seal = lambda claims: f"{encoded({'alg': 'none', **kid})}.{encoded(claims)}."
    assert "did not sign" in refusal(organisation)
    provider.seal = lambda claims: provider._sealed(claims).rpartition(".")[0] + ".AAAA"
    assert "did not sign" in refusal(organisation)
    provider.seal = lambda claims: f"{encoded({**kid})}.{encoded(claims)}.AAAA"
    assert "did not sign" in refusal(organisation)
    provider.seal = lambda _claims: "no token at all"
    assert "did not sign" in refusal(organisation)


def test_id_token_signed_with_what_everybody_knows_is_refused(organisation: Organisation) -> None:
    """The public key, or the client's secret, taken for the secret of an HMAC."""
    provider = organisation.provider
    key = provider.key
    assert isinstance(key, RSAKey)
    for known in (key.as_pem(private=False), CLIENT_SECRET.encode() * 2, b"0" * 32):
        shared = encoded({"alg": "HS256", "kid": key.kid})

        def seal(claims: dict[str, Any], known: bytes = known, head: str = shared) -> str:
            import hashlib
            import hmac

            text = f"{head}.{encoded(claims)}"
            mac = hmac.new(known, text.encode(), hashlib.sha256).digest()
            return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

        provider.seal = seal
        assert "did not sign" in refusal(organisation)


def test_id_token_signed_by_somebody_else_is_refused(organisation: Organisation) -> None:
    provider = organisation.provider
    other = rsa_key("one", 9)
    header = {"alg": "RS256", "kid": provider.key.kid}
    provider.seal = lambda claims: jwt.encode(header, claims, other)
    assert "did not sign" in refusal(organisation)
    # The key that it brings along is not looked at.
    brought = {**header, "jwk": other.as_dict(private=False)}
    provider.seal = lambda claims: jwt.encode(brought, claims, other)
    assert "did not sign" in refusal(organisation)


def test_id_token_of_a_new_key_is_taken_once_the_keys_were_asked_for_again(
    organisation: Organisation,
) -> None:
    provider = organisation.provider
    with organisation.door.client() as client:
        assert organisation.sign_in(client).status_code == 200
        assert organisation.sign_in(client).status_code == 200
        assert provider.key_requests == 1
        provider.rotate()
        assert organisation.sign_in(client).status_code == 200
        assert provider.key_requests == 2
        # Another key by the same name, too.
        provider.rotate("two", 3)
        assert organisation.sign_in(client).status_code == 200
        provider.take_ec_key()
        assert organisation.sign_in(client).status_code == 200


def test_key_that_was_withdrawn_signs_no_more(organisation: Organisation) -> None:
    provider = organisation.provider
    old = provider.key
    with organisation.door.client() as client:
        assert organisation.sign_in(client).status_code == 200
        provider.rotate()
        assert organisation.sign_in(client).status_code == 200
    header = {"alg": "RS256", "kid": "one"}
    provider.seal = lambda claims: jwt.encode(header, claims, old)
    assert "did not sign" in refusal(organisation)


def test_answer_of_the_provider_is_good_once(organisation: Organisation) -> None:
    with organisation.door.client() as client, organisation.door.client() as other:
        back = organisation.leave(client)
        kept = client.cookies["closingbell_oidc"]
        assert client.get(back).status_code == 200
        again = other.get(back, headers={"Cookie": f"closingbell_oidc={kept}"})
        assert again.status_code == 401
        assert "finished already" in again.text
    assert len(organisation.provider.token_requests) == 1


def test_answer_that_another_browser_brings_is_refused(organisation: Organisation) -> None:
    """Who is sent somebody else's answer would be signed in as them."""
    with organisation.door.client() as theirs, organisation.door.client() as mine:
        back = organisation.leave(theirs)
        assert "another browser" in mine.get(back).text
        # The one who began it cannot go on with it either.
        assert theirs.get(back).status_code == 401
        other = organisation.leave(theirs)
        organisation.leave(mine)
        assert "another browser" in mine.get(other).text
    assert organisation.provider.token_requests == []


def test_answer_that_nobody_asked_for_is_refused(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        for query in ("", "?state=x&code=y", "?state=&code=", "?code=y", "?state=x&error=z"):
            answer = client.get(f"/oidc/callback{query}")
            assert answer.status_code == 401
    assert organisation.provider.token_requests == []


def test_answer_that_comes_too_late_is_refused(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        back = organisation.leave(client)
        organisation.door.clock.advance(timedelta(minutes=10))
        assert "took too long" in client.get(back).text


def test_answer_that_names_another_provider_is_refused(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        back = organisation.leave(client)
        assert "another provider" in client.get(f"{back}&iss=http://evil.example").text
        own = organisation.leave(client)
        assert client.get(f"{own}&iss={organisation.provider.issuer}").status_code == 200


def test_answer_must_name_the_provider_that_says_it_does(organisation: Organisation) -> None:
    organisation.provider.metadata["authorization_response_iss_parameter_supported"] = True
    assert "another provider" in refusal(organisation)


def test_provider_that_refuses_says_why(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        state = dict(parse_qsl(urlsplit(organisation.leave(client)).query))["state"]
        query = {"state": state, "error": "access_denied<script>"}
        answer = client.get("/oidc/callback", params=query)
    assert answer.status_code == 401
    assert "access_denied" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        ((400, b"{}"), 401),
        ((500, b"oops"), 503),
        ((302, b""), 503),
        ((200, b"no json"), 503),
        ((200, b"[]"), 503),
        ((200, b"{}"), 401),
        ((200, b'{"id_token": 7}'), 401),
    ],
)
def test_provider_that_answers_nonsense_signs_nobody_in(
    organisation: Organisation, broken: tuple[int, bytes], status: int
) -> None:
    organisation.provider.broken = broken
    with organisation.door.client() as client:
        answer = organisation.sign_in(client)
        assert answer.status_code == status
        assert "closingbell_session" not in client.cookies


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"jwks_uri": "ftp://x"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_provider_that_describes_itself_wrongly_is_not_used(
    organisation: Organisation, metadata: dict[str, Any]
) -> None:
    organisation.provider.metadata.update(metadata)
    with organisation.door.client() as client:
        answer = client.get("/oidc/start")
    assert answer.status_code == 503
    assert "cannot be asked" in answer.text


def test_provider_that_is_gone_keeps_nobody_from_showing_a_token(sqlite_address: str) -> None:
    organisation = Organisation(sqlite_address)
    organisation.provider._server.server_close()
    try:
        with organisation.door.client() as client:
            assert client.get("/oidc/start").status_code == 503
            token = organisation.door.token().text
            assert client.post("/sign-in", data={"token": token}).status_code == 303
    finally:
        organisation.door.app.stop()


def test_client_shows_its_secret_as_the_provider_wants_it(organisation: Organisation) -> None:
    organisation.provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    with organisation.door.client() as client:
        assert organisation.sign_in(client).status_code == 200
    assert organisation.provider.token_requests[0]["client_secret"] == CLIENT_SECRET


def test_client_secret_may_stand_in_a_file(sqlite_address: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CLIENT_SECRET}\n")
    settings = {"oidc_client_secret": None, "oidc_client_secret_file": str(tmp_path / "secret")}
    organisation = Organisation(sqlite_address, **settings)
    try:
        with organisation.provider, organisation.door.client() as client:
            assert organisation.sign_in(client).status_code == 200
    finally:
        organisation.door.app.stop()


@pytest.mark.parametrize("organisation", [{"public_url": "https://desk.example"}], indirect=True)
def test_provider_sends_back_to_the_public_address(organisation: Organisation) -> None:
    with organisation.door.client() as client:
        back = organisation.leave(client)
    assert back.startswith("https://desk.example/oidc/callback?")


def test_secrets_are_in_no_log(
    organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(0), organisation.door.client() as client:
        organisation.sign_in(client)
        cookie = client.cookies["closingbell_session"]
    form = organisation.provider.token_requests[0]
    for secret in (cookie, form["code_verifier"], CLIENT_SECRET):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": "http://login.example"},
        {"oidc_issuer": "login.example"},
        {"oidc_client_id": None},
        {"oidc_roles": ""},
        {"oidc_roles": "traders"},
        {"oidc_roles": "traders=root"},
        {"oidc_roles": "=viewer"},
        {"oidc_client_secret": None, "oidc_client_secret_file": "nowhere"},
    ],
)
def test_provider_that_cannot_be_used_is_refused_at_the_start(
    sqlite_address: str, wrong: dict[str, Any]
) -> None:
    right = {
        "oidc_issuer": "https://login.example",
        "oidc_client_id": CLIENT_ID,
        "oidc_roles": ROLES,
        "oidc_client_secret": CLIENT_SECRET,
    }
    with pytest.raises(SettingError, match="oidc_"):
        Door(sqlite_address, **{**right, **wrong})


def test_extra_that_is_not_installed_is_named(
    sqlite_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joserfc", None)
    with pytest.raises(SettingError, match=r"closingbell\[oidc\]"):
        Door(
            sqlite_address,
            oidc_issuer="https://login.example",
            oidc_client_id=CLIENT_ID,
            oidc_roles=ROLES,
        )
