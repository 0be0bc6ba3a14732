"""The demo's desk, served: the page of who is signed in, and nothing for anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from closingbell.api.application import create_api
from closingbell.api.security.entrance import sign_in_address
from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from closingbell.core.role import Role
from closingbell.demo.desk import ZONE, make_desk
from closingbell.demo.runner import Demo
from tests.api_client import ADDRESS, beside


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[App]:
    """A desk that stands still."""
    clock = SimulatedClock(datetime(2012, 11, 21, 6, tzinfo=ZoneInfo(ZONE)))
    app: App = make_desk(tmp_path / "desk.db", clock)
    try:
        with app.running():
            yield app
    finally:
        app.stop()


def test_front_page_shows_the_desk_to_who_is_signed_in(desk: App) -> None:
    with httpx.Client(transport=beside(create_api(desk)), base_url=ADDRESS) as browser:
        assert browser.get("/").headers["Location"] == "/sign-in"
        browser.get(sign_in_address(desk, ADDRESS, "visitor", Role.VIEWER))
        page = browser.get("/").text

    assert "5,000,000.00" in page
    assert "2012-11-21 06:00 EST" in page
    assert "visitor, viewer" in page


def test_demo_goes_on_as_a_service_until_it_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Demo(tmp_path / "desk.db", end=datetime(2012, 11, 21, 6, 1, tzinfo=ZoneInfo(ZONE)))
    demo._make_tables()
    told: list[str] = []
    seen: list[str] = []

    def visit(address: str, way_in: str) -> None:
        told.append(address)
        with httpx.Client(base_url=address, follow_redirects=True, timeout=30) as browser:
            browser.get(way_in)
            seen.append(browser.get("/").text)
        apps[-1].ask_stop()

    apps: list[App] = []

    def remember(*args: object, **settings: object) -> App:
        apps.append(make_desk(*args, **settings))  # type: ignore[arg-type]
        return apps[-1]

    monkeypatch.setattr("closingbell.demo.runner.make_desk", remember)
    demo.serve(visit)

    assert told[0].startswith("http://127.0.0.1:")
    assert "5,000,000.00" in seen[0]
    assert "The desk" in seen[0]
