"""Errors of the door: a request that the service does not take, and what a client meets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from closingbell.core.error.root import ClosingbellError


class RequestRefused(ClosingbellError):
    """A request that the service does not take."""

    code = "request_refused"


class NotSignedIn(RequestRefused):
    """Nobody known sends this request."""

    code = "not_signed_in"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} needs a sign-in: send a token as 'Authorization: Bearer ...', or sign in "
            "at /sign-in"
        )
        self.path = path


class Forbidden(RequestRefused):
    """Who asks is known, and may not."""

    code = "forbidden"

    def __init__(self, name: str, role: str, needed: str) -> None:
        super().__init__(
            f"{name} is {role} and this needs {needed}: ask an admin for a token of that role"
        )
        self.name = name
        self.role = str(role)
        self.needed = str(needed)


class TooManyRequests(RequestRefused):
    """Asked too often; `retry_after_s` says when to ask again."""

    code = "too_many_requests"

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"too many {what}: try again in {retry_after_s:.0f} seconds")
        self.what = what
        self.retry_after_s = retry_after_s


class SignInRefused(RequestRefused):
    """What was shown at the door does not open it."""

    code = "sign_in_refused"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: sign in with a token, with an address that `closingbell sign-in` makes, "
            "or ask an admin for one"
        )
        self.problem = problem


class CrossSiteRefused(RequestRefused):
    """A browser sends this, and not from a page of this service."""

    code = "cross_site_request"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: send the csrf_token of GET /api/v1/session as X-CSRF-Token from a page of "
            "this service, or a token as 'Authorization: Bearer ...'; behind a proxy, set "
            "public_url"
        )
        self.problem = problem


class HostRefused(RequestRefused):
    """The request names a host that is not this service."""

    code = "unknown_host"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this service is not {host[:200]!r}: use the address that it listens on, or name the "
            "host in the settings allowed_hosts or public_url"
        )
        self.host = host[:200]


class BodyTooLarge(RequestRefused):
    """The body of a request is larger than the limit."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body is larger than {limit} bytes: send less at once, or raise body_limit_bytes"
        )
        self.limit = limit


class ProviderUnavailable(RequestRefused):
    """The OpenID Connect provider does not answer, or not as one."""

    code = "provider_unavailable"

    def __init__(self, issuer: str, problem: str) -> None:
        super().__init__(f"the provider {issuer} cannot be asked: {problem}; try again later")
        self.issuer = issuer
        self.problem = problem


class PageTokenError(RequestRefused):
    """A page token that was not made by this query."""

    code = "invalid_page_token"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"this page token {problem}: start at the first page, without 'after', and keep the "
            "query the same from page to page"
        )
        self.problem = problem


class InvalidRequest(RequestRefused):
    """A request whose body, path or query cannot be what the route takes."""

    code = "invalid_request"

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        told = list(problems)
        super().__init__("; ".join(f"{where}: {what}" for where, what in told))
        self.problems = [{"where": where, "what": what} for where, what in told]


class RequestKeyReused(RequestRefused):
    """An Idempotency-Key that came before with another request."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} came before with another request: use a new key for what is "
            "new, and the same key only to send the same request again"
        )
        self.key = key


class RequestInProgress(RequestRefused):
    """The first request with this Idempotency-Key is not answered yet."""

    code = "request_in_progress"

    def __init__(self, key: str, retry_after_s: float) -> None:
        super().__init__(
            f"the first request with Idempotency-Key {key!r} is still at work: send it again in "
            f"{retry_after_s:.0f} seconds for its answer"
        )
        self.key = key
        self.retry_after_s = retry_after_s


class ServiceBusy(RequestRefused):
    """The service takes no more of this kind at present; `retry_after_s` says when to ask again."""

    code = "service_busy"

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"{what}: try again in {retry_after_s:.0f} seconds")
        self.what = what
        self.retry_after_s = retry_after_s


class ServerAddressError(RequestRefused):
    """The API cannot listen where it was asked to."""

    code = "invalid_server_address"

    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(f"the API cannot listen on {host}:{port}: {problem}")
        self.host = host
        self.port = port
        self.problem = problem


class VersionMissing(RequestRefused):
    """A change that does not say which version it changes."""

    code = "version_missing"

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(
            f"a change of {kind} {which!r} needs the header If-Match: read it first, and send its "
            "ETag, so that nobody's change is overwritten unseen"
        )
        self.kind = kind
        self.which = which


class ServiceUnreachable(ClosingbellError):
    """A service does not answer, or not as one of ours."""

    code = "service_unreachable"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(
            f"no closingbell service at {url}: {problem}; is `closingbell serve` running there?"
        )
        self.url = url
        self.problem = problem


class ServiceRefused(ClosingbellError):
    """A service refused with a code that this version does not know."""

    code = "service_refused"

    def __init__(self, status: int, told_code: str, detail: str, told: dict[str, Any]) -> None:
        super().__init__(f"{detail} ({told_code}, status {status})")
        self.status = status
        self.told_code = told_code
        self.told = told
