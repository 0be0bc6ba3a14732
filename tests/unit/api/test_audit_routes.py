"""The audit ledger through the API: pages with filters, the verdict, and files for a period."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import signed_in

AUDIT = "/api/v1/audit"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app whose chain has ann's and bob's acts."""
    made = create_app(f"sqlite:///{tmp_path / 'desk.db'}")

    @made.task
    def scan() -> None: ...

    with made.acting_as("ann", reason="quarter end"):
        weekly = made.schedule(scan, cron="0 20 * * FRI", id="weekly")
        weekly.pause("=cmd()<script>alert(1)</script>")
    with made.acting_as("bob"):
        weekly.resume()
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, name="carol") as made:
        yield made


def get(client: httpx.Client, **query: Any) -> Any:
    answer = client.get(AUDIT, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_records_have_every_field_and_come_the_newest_first(client: httpx.Client) -> None:
    items = get(client, target_kind="schedule")["items"]
    assert [(one["actor"], one["action"]) for one in items] == [
        ("bob", "schedule.resumed"),
        ("ann", "schedule.paused"),
        ("ann", "schedule.created"),
    ]
    paused = items[1]
    assert set(paused) == {
        "seq", "at", "actor", "actor_kind", "action", "target_kind", "target_id", "reason",
        "before", "after", "previous_hash", "hash",
    }  # fmt: skip
    assert paused["before"]["paused_reason"] is None
    assert paused["after"]["paused_reason"] == paused["reason"]
    assert paused["previous_hash"] == items[2]["hash"]
    assert items[2]["reason"] == "quarter end"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"actor": "ann"}, 2),
        ({"action": "schedule."}, 3),
        ({"action": "schedule.paused"}, 1),
        ({"target_id": "weekly", "actor": "bob"}, 1),
        ({"target_kind": "nothing"}, 0),
        ({"actor": "ann", "until": "1980-01-01T00:00:00Z"}, 0),
        ({"actor": "ann", "since": "1980-01-01"}, 2),
    ],
)
def test_records_can_be_filtered(client: httpx.Client, query: dict[str, str], count: int) -> None:
    assert len(get(client, **query)["items"]) == count


@pytest.mark.parametrize("more", [{}, {"since": "1980-01-01T00:00:00Z"}, {"action": "schedule."}])
def test_pages_hold_every_record_once(client: httpx.Client, more: dict[str, str]) -> None:
    everything = [one["seq"] for one in get(client, **more)["items"]]
    seen, token = [], None
    while True:
        page = get(client, limit=1, **more, **({} if token is None else {"after": token}))
        seen += [one["seq"] for one in page["items"]]
        token = page["next"]
        if token is None:
            break
    assert seen == everything == sorted(everything, reverse=True)


def test_page_token_of_another_query_is_refused(client: httpx.Client) -> None:
    token = get(client, limit=1)["next"]
    answer = client.get(AUDIT, params={"after": token, "actor": "ann"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_page_token")


def test_verdict_on_a_whole_chain_has_its_head(app: App, client: httpx.Client) -> None:
    told = client.get(f"{AUDIT}/verify").json()
    assert (told["ok"], told["findings"], told["finding_count"]) == (True, [], 0)
    assert told["head"] == str(app.audit.head())
    again = client.get(f"{AUDIT}/verify", params={"head": told["head"]}).json()
    assert again["ok"] is True


def test_record_that_a_hand_has_altered_is_named(
    app: App, client: httpx.Client, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "desk.db")) as file:
        for (name,) in file.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_records'"
        ).fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE audit_records SET actor = 'eve' WHERE action = 'schedule.paused'")
        file.commit()
    told = client.get(f"{AUDIT}/verify").json()
    assert told["ok"] is False
    [finding] = told["findings"]
    assert finding["problem"] == "altered"
    assert f"record {finding['seq']}" in finding["sentence"]
    page = client.get(f"{AUDIT}/export", params={"format": "html"}).text
    assert "The chain is broken" in page


def test_head_that_is_none_is_refused(client: httpx.Client) -> None:
    answer = client.get(f"{AUDIT}/verify", params={"head": "7"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_csv_export_has_every_record_and_no_formula(client: httpx.Client) -> None:
    answer = client.get(f"{AUDIT}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    [paused] = [row for row in rows if row["action"] == "schedule.paused"]
    assert paused["reason"].startswith("'=cmd")


def test_json_lines_export_can_be_verified_again(client: httpx.Client) -> None:
    answer = client.get(f"{AUDIT}/export", params={"format": "jsonl"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert all(one["hash"] == two["previous_hash"] for one, two in pairwise(lines))


def test_report_is_a_page_that_may_do_nothing(client: httpx.Client) -> None:
    answer = client.get(f"{AUDIT}/export", params={"format": "html", "since": "2000-01-01"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    page = answer.text
    assert "<script>alert" not in page
    assert "is whole" in page
    assert page.index("is whole") < page.index("Every act")
    assert "quarter end" in page


def test_export_of_a_period_without_acts_has_only_its_heading(client: httpx.Client) -> None:
    answer = client.get(f"{AUDIT}/export", params={"until": "1980-01-01T00:00:00Z"})
    assert len(answer.text.splitlines()) == 1


def test_viewer_reads_the_ledger_and_may_neither_verify_nor_export(app: App) -> None:
    with signed_in(app, Role.VIEWER) as client:
        assert client.get(AUDIT).status_code == 200
        assert client.get(f"{AUDIT}/verify").status_code == 403
        assert client.get(f"{AUDIT}/export").status_code == 403
