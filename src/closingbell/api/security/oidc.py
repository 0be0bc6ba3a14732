"""OpenID Connect: an organisation's provider says who somebody is, and in which groups.

The authorization code flow with PKCE, state and nonce. Nonce and PKCE verifier are derived from what
only the browser keeps, so that the store holds no secret of a sign-in under way.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from closingbell.api.security.doorkeeper import read_secret
from closingbell.core.error import ProviderUnavailable, SettingError, SignInRefused
from closingbell.core.role import Role
from closingbell.core.token import derived, hash_of, is_same
from closingbell.store.sign_in_codes import Purpose

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

    from closingbell.app import App

#: A sign-in at the provider may take so long.
UNDER_WAY_S = 600
#: Between the provider's clock and ours.
_SKEW_S = 60
_ANSWER_S = 10.0
#: What the provider says of itself is asked again after so long.
_METADATA_S = 3600.0
_SECRET_BYTES = 32
#: With a key that only the provider has; never "none", and never a secret that we share.
_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
)  # fmt: skip
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Begun(NamedTuple):
    """A sign-in that is on its way to the provider.

    Attributes:
        url: where the browser is sent.
        secret: what the browser keeps until it comes back.
    """

    url: str
    secret: str


class Vouched(NamedTuple):
    """Somebody whom the provider vouches for.

    Attributes:
        name: as the setting oidc_name_claim says.
        role: as the setting oidc_roles says.
        following: the path to go on to.
    """

    name: str
    role: Role
    following: str


class Provider:
    """The provider of the settings."""

    def __init__(self, app: App, issuer: str) -> None:
        """Know where it is; it is asked when somebody first signs in.

        Raises:
            SettingError: the extra is not installed, or the secret's file cannot be read.
        """
        try:
            import joserfc  # noqa: F401  (said here, before somebody tries to sign in)
        except ImportError as problem:
            raise SettingError(
                "oidc_issuer", issuer, "the extra: pip install 'closingbell[oidc]'"
            ) from problem
        settings = app.settings
        self._app = app
        self._issuer = issuer
        self._client_id = settings.oidc_client_id or ""
        self._client_secret = settings.oidc_client_secret
        if self._client_secret is None and settings.oidc_client_secret_file is not None:
            path = settings.oidc_client_secret_file
            self._client_secret = read_secret("oidc_client_secret_file", path)
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._asked_at = 0.0
        self._keys: KeySet | None = None

    # --- there and back ----------------------------------------------------------------------

    def begin(self, following: str, redirect_uri: str) -> Begun:
        """Note a sign-in, and return where it goes on.

        Args:
            following: the path to go on to afterwards.
            redirect_uri: where the provider sends the browser back to.

        Raises:
            ProviderUnavailable: it cannot be asked where that is.
            TooManyRequests: too many are under way.
        """
        metadata = self._described()
        state, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(_SECRET_BYTES)
        now = self._app.clock.micros()
        self._app.store.sign_in_codes.put(
            hash_of(state),
            Purpose.OIDC,
            {"browser": hash_of(secret), "next": following, "redirect_uri": redirect_uri},
            now,
            now + UNDER_WAY_S * 1_000_000,
        )
        digest = hashlib.sha256(_verifier(secret, state).encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile email",
            "state": state,
            "nonce": _nonce(secret, state),
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = str(metadata["authorization_endpoint"])
        return Begun(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", secret)

    def finish(self, answer: dict[str, str], secret: str | None) -> Vouched:
        """Return who came back from the provider.

        Args:
            answer: the parameters of the address that the browser came back to.
            secret: what the browser kept.

        Raises:
            SignInRefused: they are nobody we know, or nobody vouches for them.
            ProviderUnavailable: it cannot be asked.
        """
        state = answer.get("state", "")
        now = self._app.clock.micros()
        data = self._app.store.sign_in_codes.take(hash_of(state), Purpose.OIDC, now)
        if data is None:
            raise SignInRefused("this sign-in was finished already, or took too long")
        if secret is None or not is_same(hash_of(secret), data["browser"]):
            raise SignInRefused("this sign-in was begun in another browser")
        metadata = self._described()
        says_issuer = metadata.get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", None if says_issuer else self._issuer) != self._issuer:
            raise SignInRefused("the answer comes from another provider")
        if "code" not in answer:
            why = answer.get("error", "no code")[:60]
            raise SignInRefused(f"the provider did not sign you in ({why!r})")
        id_token = self._exchange(
            metadata, answer["code"], data["redirect_uri"], _verifier(secret, state)
        )
        claims = self._checked(metadata, id_token, _nonce(secret, state))
        return Vouched(self._name(claims), self._role(claims), data["next"])

    # --- what an id token says ----------------------------------------------------------------

    def _checked(self, metadata: dict[str, Any], id_token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an id token that the provider signed, for us, just now."""
        from joserfc.errors import JoseError
        from joserfc.jwt import JWTClaimsRegistry

        claims = self._verified(metadata, id_token)
        audience = claims.get("aud")
        registry = JWTClaimsRegistry(
            now=lambda: self._app.clock.micros() // 1_000_000,
            leeway=_SKEW_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as problem:
            raise SignInRefused(f"the provider's id token does not hold: {problem}") from problem
        party = claims.get("azp")
        alone = not isinstance(audience, list) or len(audience) == 1
        if party != self._client_id and (party is not None or not alone):
            raise SignInRefused("the provider's id token is for another client")
        given = claims.get("nonce")
        if not isinstance(given, str) or not is_same(given, nonce):
            raise SignInRefused("the provider's id token is of another sign-in")
        return claims

    def _verified(self, metadata: dict[str, Any], id_token: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        offered = metadata.get("id_token_signing_alg_values_supported")
        named = offered if isinstance(offered, list) else ["RS256"]
        allowed = [name for name in _ALGORITHMS if name in named]
        keys, fresh = self._key_set(metadata)
        while True:
            try:
                return jwt.decode(id_token, keys, algorithms=allowed).claims
            except (JoseError, ValueError) as problem:
                if fresh:
                    raise SignInRefused("the provider did not sign its id token") from problem
            # It may have new keys.
            with self._lock:
                self._keys = None
            keys, fresh = self._key_set(metadata)

    def _name(self, claims: dict[str, Any]) -> str:
        claim = self._app.settings.oidc_name_claim
        name = claims.get(claim)
        if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
            raise SignInRefused(f"the provider does not say your {claim}")
        if claim == "email" and claims.get("email_verified", True) is not True:
            raise SignInRefused("the provider does not vouch for your e-mail address")
        return name

    def _role(self, claims: dict[str, Any]) -> Role:
        settings = self._app.settings
        found: Any = claims
        for part in settings.oidc_role_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        groups = {found} if isinstance(found, str) else set()
        if isinstance(found, list):
            groups = {group for group in found if isinstance(group, str)}
        roles = [Role(role) for name, role in _mapping(settings.oidc_roles) if name in groups]
        if not roles:
            roles = [Role(role) for name, role in _mapping(settings.oidc_roles) if name == "*"]
        if not roles:
            raise SignInRefused("you are in no group that has a role here")
        return max(roles, key=list(Role).index)

    # --- asking the provider -------------------------------------------------------------------

    def _described(self) -> dict[str, Any]:
        """Return what the provider says of itself."""
        now = self._app.clock.monotonic()
        with self._lock:
            if self._metadata is not None and now - self._asked_at < _METADATA_S:
                return self._metadata
        address = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        metadata = self._ask("GET", address)
        if metadata.get("issuer") != self._issuer:
            raise self._unavailable(f"it calls itself {str(metadata.get('issuer'))[:200]!r}")
        ours = urlsplit(self._issuer).scheme
        for name in _ENDPOINTS:
            endpoint = metadata.get(name)
            scheme = urlsplit(endpoint).scheme if isinstance(endpoint, str) else ""
            if scheme not in ("https", ours):
                raise self._unavailable(f"its {name} is {str(endpoint)[:200]!r}")
        with self._lock:
            self._metadata, self._asked_at = metadata, now
        return metadata

    def _key_set(self, metadata: dict[str, Any]) -> tuple[KeySet, bool]:
        """Return the provider's keys, and whether they were asked for just now."""
        from joserfc.errors import JoseError
        from joserfc.jwk import ECKey, KeySet, RSAKey

        with self._lock:
            if self._keys is not None:
                return self._keys, False
        answer = self._ask("GET", str(metadata["jwks_uri"]))
        kinds: dict[str, type[RSAKey] | type[ECKey]] = {"RSA": RSAKey, "EC": ECKey}
        keys: list[Any] = []
        for one in answer.get("keys") or ():
            if not isinstance(one, dict) or one.get("kty") not in kinds or one.get("use") == "enc":
                continue
            try:
                keys.append(kinds[one["kty"]].import_key(one))
            except (JoseError, ValueError):
                # One key that cannot be read spoils no other.
                continue
        found = KeySet(keys)
        with self._lock:
            self._keys = found
        return found, True

    def _exchange(
        self, metadata: dict[str, Any], code: str, redirect_uri: str, verifier: str
    ) -> str:
        """Return the id token for a code."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        headers = {}
        if self._client_secret is None:
            asked["client_id"] = self._client_id
        elif "client_secret_basic" in ways:
            pair = f"{_quoted(self._client_id)}:{_quoted(self._client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            asked |= {"client_id": self._client_id, "client_secret": self._client_secret}
        answer = self._ask("POST", str(metadata["token_endpoint"]), asked, headers)
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise SignInRefused("the provider gave no id token for this sign-in")
        return id_token

    def _ask(
        self,
        method: str,
        address: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        import httpx

        try:
            answer = httpx.request(
                method,
                address,
                data=form,
                headers={"Accept": "application/json", **(headers or {})},
                timeout=_ANSWER_S,
                follow_redirects=False,
            )
            if form is not None and 400 <= answer.status_code < 500:
                # It knows the code as used, too old, or not ours.
                raise SignInRefused("the provider refused this sign-in")
            answer.raise_for_status()
            read = answer.json()
        except httpx.HTTPError as problem:
            raise self._unavailable(type(problem).__name__) from problem
        except ValueError as problem:
            raise self._unavailable("its answer is no JSON") from problem
        if not isinstance(read, dict):
            raise self._unavailable("its answer is no JSON object")
        return read

    def _unavailable(self, problem: str) -> ProviderUnavailable:
        return ProviderUnavailable(self._issuer, problem)


def provider_of(app: App) -> Provider | None:
    """Return the provider of an app's settings; None without one.

    Raises:
        SettingError: it cannot be used.
    """
    issuer = app.settings.oidc_issuer
    return None if issuer is None else Provider(app, issuer)


def _mapping(text: str) -> list[tuple[str, str]]:
    pairs = (pair.strip().rpartition("=") for pair in text.split(","))
    return [(name, role) for name, _, role in pairs]


def _nonce(secret: str, state: str) -> str:
    return derived(secret, f"closingbell oidc nonce 1 {state}")


def _verifier(secret: str, state: str) -> str:
    return derived(secret, f"closingbell oidc pkce 1 {state}")


def _quoted(text: str) -> str:
    from urllib.parse import quote_plus

    return quote_plus(text)
