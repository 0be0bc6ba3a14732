"""Stored backtests through the API: the list, the report as JSON, and its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.simulation.report import read_report
from tests.api_client import signed_in

BACKTESTS = "/api/v1/backtests"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app with three stored backtests."""
    folder: Path = tmp_path_factory.mktemp("backtests")
    made = create_app(f"sqlite:///{folder / 'desk.db'}")

    @made.task(session="XNYS close")
    def buy(algorithm: Any) -> None:
        algorithm.order_target_percent("AAPL", 0.5)

    for seed in range(3):
        made.backtest("2012-01-03", "2012-01-31", seed=seed, name="<script>x</script>")
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app) as made:
        yield made


def test_backtests_are_listed_in_pages_the_newest_first(app: App, client: httpx.Client) -> None:
    first = client.get(BACKTESTS, params={"limit": 2}).json()
    second = client.get(BACKTESTS, params={"limit": 2, "after": first["next"]}).json()
    listed = [*first["items"], *second["items"]]
    assert [one["id"] for one in listed] == [record.id for record in app.store.backtests.recent()]
    assert second["next"] is None
    assert {one["seed"] for one in listed} == {0, 1, 2}
    one = listed[0]
    assert (one["account"], one["currency"], one["tasks"]) == ("main", "USD", ["buy"])
    assert one["start"] == "2012-01-03T00:00:00Z"
    assert one["trades"] > 0
    assert "sharpe" in one["metrics"]


def test_backtest_tells_its_whole_report(app: App, client: httpx.Client) -> None:
    record = app.store.backtests.recent()[0]
    told = client.get(f"{BACKTESTS}/{record.id}").json()
    report = read_report(app.store.backtests, record.id)
    assert told["id"] == record.id
    assert told["parameters"] == record.summary["parameters"]
    assert told["report"]["accounts"].keys() == report.accounts.keys()
    assert told["report"]["seed"] == report.seed


def test_page_of_a_backtest_runs_its_own_script_and_no_other(
    app: App, client: httpx.Client
) -> None:
    record = app.store.backtests.recent()[0]
    answer = client.get(f"{BACKTESTS}/{record.id}/page")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'sha256-" in policy
    assert "sandbox allow-scripts" in policy
    assert "default-src 'none'" in policy
    assert "<script>x</script>" not in answer.text


@pytest.mark.parametrize("path", ["nothing", "nothing/page"])
def test_unknown_backtest_is_404(client: httpx.Client, path: str) -> None:
    answer = client.get(f"{BACKTESTS}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_backtest")
