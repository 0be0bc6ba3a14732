"""Problem details (RFC 9457): what every refusal of the API looks like."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from closingbell.core import error as errors

MEDIA_TYPE = "application/problem+json"

#: The first class of these that an error belongs to says its status.
STATUSES: tuple[tuple[type[errors.ClosingbellError], int], ...] = (
    (errors.NotSignedIn, 401),
    (errors.SignInRefused, 401),
    (errors.Forbidden, 403),
    (errors.CrossSiteRefused, 403),
    (errors.LookupFailed, 404),
    (errors.UnknownAccount, 404),
    (errors.UnknownBacktest, 404),
    (errors.VersionMismatch, 412),
    (errors.StateError, 409),
    (errors.RequestInProgress, 409),
    (errors.ServiceBusy, 503),
    (errors.PayloadTooLarge, 413),
    (errors.BodyTooLarge, 413),
    (errors.HostRefused, 421),
    (errors.ProviderUnavailable, 503),
    (errors.VersionMissing, 428),
    (errors.TooManyRequests, 429),
    (errors.PayloadError, 422),
    (errors.DefinitionError, 422),
    (errors.TradingError, 422),
    (errors.RequestRefused, 422),
    (errors.StoreError, 503),
)

#: A database that restarts, or a disk that somebody clears, takes a moment.
_STORE_RETRY_S = 5


class Problem(BaseModel):
    """What went wrong, what was expected, and what to do next."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(default="about:blank", description="always about:blank; `code` is the key")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="one sentence for people")
    code: str = Field(description="stable, for programs: one of the documented error codes")


def status_of(error: errors.ClosingbellError) -> int:
    """Return the HTTP status of an error; 500 for one that no caller can mend."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def problem_response(
    status: int,
    detail: str,
    code: str,
    fields: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a refusal as the API sends it."""
    body = {
        **{name: _plain(value) for name, value in (fields or {}).items()},
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def refuse(_request: Request, error: Exception) -> JSONResponse:
    """Answer an error of ours; FastAPI calls it."""
    if not isinstance(error, errors.ClosingbellError):
        raise error
    headers: dict[str, str] = {}
    if isinstance(error, (errors.NotSignedIn, errors.SignInRefused)):
        headers["WWW-Authenticate"] = 'Bearer realm="closingbell"'
    if isinstance(error, (errors.TooManyRequests, errors.RequestInProgress, errors.ServiceBusy)):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    elif isinstance(error, errors.StoreError) and error.retryable:
        headers["Retry-After"] = str(_STORE_RETRY_S)
    fields = {name: value for name, value in error.fields.items() if name not in _OWN}
    return problem_response(status_of(error), str(error), error.code, fields, headers)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` of a route: what it may refuse with, beside 401, 403 and 503."""
    return {
        status: {
            "model": Problem,
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({401, 403, 503, *statuses})
    }


_OWN = ("type", "title", "status", "detail", "code")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
