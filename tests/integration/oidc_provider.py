"""A small OpenID Connect provider on loopback, with RSA keys; it can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from closingbell.core.clock import Clock

CLIENT_ID, CLIENT_SECRET = "closing bell", "a secret: with+signs"


@cache
def rsa_key(kid: str, number: int = 1) -> RSAKey:
    """Return the same key for the same words: making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "enc" if kid == "enc" else "sig"})


class OidcProvider:
    """One provider and one person who is signed in there.

    Attributes:
        claims: of the person; what is set here leads over what is right.
        metadata: leads over what the provider says of itself.
        headers: leads over what stands in the header of an id token.
        seal: makes an id token of its claims; None = as it should be.
        asked: the parameters of each request to authorize.
        token_requests: the forms that came to the token endpoint.
        broken: the token endpoint answers so.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.claims: dict[str, Any] = {"email": "ann@desk.example", "groups": ["traders"]}
        self.metadata: dict[str, Any] = {}
        self.headers: dict[str, Any] = {}
        self.seal: Callable[[dict[str, Any]], str] | None = None
        self.asked: list[dict[str, str]] = []
        self.token_requests: list[dict[str, str]] = []
        self.broken: tuple[int, bytes] | None = None
        self.key_requests = 0
        self.key: RSAKey | ECKey = rsa_key("one")
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                provider._post(self, self.rfile.read(length).decode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realm"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def rotate(self, kid: str = "two", number: int = 2) -> None:
        """Take a new key; the old one is shown no more."""
        self.key = rsa_key(kid, number)

    def take_ec_key(self) -> None:
        """Sign with a key of another kind."""
        self.key = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})

    @property
    def algorithm(self) -> str:
        """What it signs with."""
        return "RS256" if isinstance(self.key, RSAKey) else "ES256"

    # --- what is asked ---------------------------------------------------------------------

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        if parts.path == "/realm/.well-known/openid-configuration":
            _answer(request, 200, self._described())
        elif parts.path == "/realm/keys":
            self.key_requests += 1
            enc = rsa_key("enc").as_dict(private=False)
            odd = {"kty": "RSA", "kid": "odd", "n": "?"}
            known = KeySet([self.key]).as_dict(private=False)["keys"]
            _answer(request, 200, {"keys": [enc, odd, {"kty": "new"}, *known]})
        elif parts.path == "/realm/authorize":
            asked = dict(parse_qsl(parts.query))
            self.asked.append(asked)
            code = secrets.token_hex(8)
            self._codes[code] = asked
            back = {"code": code, "state": asked["state"]}
            request.send_response(302)
            request.send_header("Location", f"{asked['redirect_uri']}?{urlencode(back)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            _answer(request, 404, {})

    def _described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
            **self.metadata,
        }

    def _post(self, request: BaseHTTPRequestHandler, body: str) -> None:
        form = dict(parse_qsl(body))
        self.token_requests.append(form)
        if self.broken is not None:
            status, raw = self.broken
            request.send_response(status)
            request.send_header("Content-Length", str(len(raw)))
            request.end_headers()
            request.wfile.write(raw)
            return
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or not self._is_client(request, form) or not _fits(form, asked):
            _answer(request, 400, {"error": "invalid_grant"})
            return
        now = self._clock.micros() // 1_000_000
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "person-1",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        token = (self.seal or self._sealed)(claims)
        _answer(request, 200, {"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _sealed(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.algorithm, "kid": self.key.kid, **self.headers}
        return jwt.encode(
            {name: value for name, value in header.items() if value is not ...}, claims, self.key
        )

    def _is_client(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> bool:
        if "client_secret_post" in self.metadata.get("token_endpoint_auth_methods_supported", ()):
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        given = request.headers.get("Authorization", "").removeprefix("Basic ")
        pair = base64.b64decode(given).decode().split(":")
        return [unquote_plus(part) for part in pair] == [CLIENT_ID, CLIENT_SECRET]


def _fits(form: dict[str, str], asked: dict[str, str]) -> bool:
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return (
        form.get("grant_type") == "authorization_code"
        and form.get("redirect_uri") == asked["redirect_uri"]
        and asked["code_challenge_method"] == "S256"
        and challenge == asked["code_challenge"]
    )


def _answer(request: BaseHTTPRequestHandler, status: int, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
