"""The OpenAPI document: up to date, whole, and the same for whoever asks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.core.role import Role
from tests.api_client import nobody, signed_in

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = create_app(f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'desk.db'}")
    return create_api(app).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_openapi_page_is_up_to_date() -> None:
    asked = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_openapi.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr


def test_openapi_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(set(names)) == sorted(names)
    assert all(name == name.lower() and name.isidentifier() for name in names)


def test_openapi_operations_say_what_they_do(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert len(operation["tags"]) == 1, (path, method)
        for parameter in operation.get("parameters", []):
            # A generated client makes a word of it that nobody can send.
            assert "null" not in json.dumps(parameter["schema"]), (path, method, parameter["name"])


def test_openapi_models_have_one_clear_name(document: dict[str, Any]) -> None:
    # Two classes of one name are told with the names of their modules, and underscores.
    assert [name for name in document["components"]["schemas"] if not name.isalnum()] == []


def test_openapi_answers_say_that_what_is_always_told_is_there(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["PageOfTaskInfo"]["required"]) == {"items", "next", "complete"}
    assert set(schemas["TaskInfo"]["required"]) == set(schemas["TaskInfo"]["properties"])
    # What is sent may leave out what has a default.
    assert schemas["RunRequest"]["required"] == ["task"]


def test_openapi_change_of_a_version_asks_for_it(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if "428" in operation["responses"]:
            found = [one for one in operation["parameters"] if one["name"] == "If-Match"]
            assert found[0]["required"], (path, method)


def test_openapi_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    for reference in set(references(document)):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_openapi_refusals_are_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if not path.startswith("/api/"):
            continue
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (path, method)
        assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"])


def test_openapi_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        # Who signs in is nobody yet, and the answer holds a secret: no key of theirs is kept.
        if method == "post" and path.startswith("/api/") and operation["operationId"] != "sign_in":
            names = [parameter["name"] for parameter in operation["parameters"]]
            assert "Idempotency-Key" in names, path


def test_openapi_needs_a_sign_in(sqlite_address: str) -> None:
    app = create_app(sqlite_address)
    try:
        with nobody(app) as stranger, signed_in(app, Role.VIEWER) as viewer:
            assert stranger.get("/openapi.json").status_code == 401
            told = viewer.get("/openapi.json").json()
    finally:
        app.stop()
    assert told == json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text("utf-8"))
