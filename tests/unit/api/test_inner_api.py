"""The routes that a command asks in its own process: those about one noun, and all of them."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from closingbell import create_app
from closingbell.api.application import PREFIX, create_api, create_inner_api, noun_of


def routes(api: FastAPI) -> set[tuple[str, str]]:
    found = api.openapi()["paths"]
    return {(path, method) for path, methods in found.items() for method in methods}


def test_routes_about_a_noun_are_all_that_the_service_has_about_it(tmp_path: Path) -> None:
    app = create_app(tmp_path / "desk.db", guardian=False)
    whole = {one for one in routes(create_api(app)) if one[0].startswith(PREFIX)}
    nouns = {noun_of(path) for path, _ in whole}
    assert len(nouns) > 20
    for noun in nouns:
        inner = routes(create_inner_api(app, f"{PREFIX}/{noun}"))
        assert {one for one in whole if noun_of(one[0]) == noun} <= inner


def test_metrics_have_no_noun(tmp_path: Path) -> None:
    app = create_app(tmp_path / "desk.db", guardian=False)
    assert noun_of("/metrics") is None
    assert ("/metrics", "get") in routes(create_inner_api(app, "/metrics"))
