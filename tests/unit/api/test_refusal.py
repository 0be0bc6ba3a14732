"""What leaves the door when something goes wrong, and what does not."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict

from closingbell.api import refusal
from closingbell.api.strict_json import StrictJson
from closingbell.core.error import StoreUnavailable


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    symbol: str
    quantity: int


@pytest.fixture
def api() -> FastAPI:
    made = FastAPI(redirect_slashes=False)
    refusal.install(made)
    made.add_middleware(StrictJson)
    made.add_middleware(refusal.LastResort)

    @made.post("/api/order")
    def order(order: _Order) -> dict[str, Any]:
        return order.model_dump()

    @made.post("/api/note")
    def note(reason: str | None = Body(default=None, embed=True)) -> str | None:
        return reason

    @made.get("/api/broken")
    def broken() -> None:
        raise RuntimeError("the password is hunter2")

    @made.get("/api/gone")
    def gone() -> None:
        raise StoreUnavailable("the database does not answer")

    return made


def ask(api: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def test_refusal_values_that_do_not_fit_are_named_and_not_repeated(api: FastAPI) -> None:
    answer = ask(
        api, "POST", "/api/order", json={"symbol": 7, "quantity": "hunter2", "side": "buy"}
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == "invalid_request"
    assert [problem["where"] for problem in told["problems"]] == [
        "body.symbol",
        "body.quantity",
        "body.side",
    ]
    assert "hunter2" not in answer.text


def test_refusal_unsound_json_never_reaches_the_route(api: FastAPI) -> None:
    answer = ask(
        api,
        "POST",
        "/api/order",
        content=b'{"symbol": "AAPL", "quantity": 1, "quantity": 100}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {"where": "body.quantity", "what": "the name is given twice"}
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_refusal_body_of_another_kind_is_415(api: FastAPI, headers: dict[str, str]) -> None:
    answer = ask(api, "POST", "/api/order", content=b"{}", headers=headers)

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


def test_refusal_body_with_a_charset_is_read(api: FastAPI) -> None:
    answer = ask(
        api,
        "POST",
        "/api/order",
        content='{"symbol": "Ü", "quantity": 1}'.encode(),
        headers={"Content-Type": 'Application/JSON; charset="UTF-8"'},
    )

    assert answer.json() == {"symbol": "Ü", "quantity": 1}


def test_refusal_no_body_needs_no_content_type(api: FastAPI) -> None:
    assert ask(api, "POST", "/api/note").status_code == 200


def test_refusal_long_body_is_checked_all_the_same(api: FastAPI) -> None:
    content = b'{"symbol": "' + b"x" * 100_000 + b'", "quantity": NaN}'
    answer = ask(
        api, "POST", "/api/order", content=content, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert len(answer.content) < 1000


@pytest.mark.parametrize("path", ["/api/%00", "/api/note?reason=%00", "/api/%ff"])
def test_refusal_address_that_is_no_text_is_422(api: FastAPI, path: str) -> None:
    answer = ask(api, "POST", path)

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


def test_refusal_unknown_path_and_method_are_problems(api: FastAPI) -> None:
    unknown = ask(api, "GET", "/api/nowhere")
    method = ask(api, "GET", "/api/order")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert method.headers["allow"] == "POST"


def test_refusal_own_mistake_tells_nothing_and_is_logged(
    api: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask(api, "GET", "/api/broken")

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "hunter2" not in answer.text
    assert "GET /api/broken failed" in caplog.text


def test_refusal_store_that_is_gone_is_503(api: FastAPI) -> None:
    answer = ask(api, "GET", "/api/gone")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
