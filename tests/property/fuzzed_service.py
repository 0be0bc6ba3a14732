"""A service with something of everything in it, and clients that send it what a fuzzer thinks of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import (
    GenerationConfig,
    NotAServerErrorConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.schemas import BaseSchema

from closingbell import create_app
from closingbell.api.server import ApiServer
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import bearer

PREFIX = "/api/v1"
#: These answer until the client goes: tests of their own follow them.
ENDLESS = {"stream"}


@dataclass
class FuzzedService:
    """A service whose every list has something in it.

    Attributes:
        url: where it answers.
        schema: what its own document says.
        known: names and ids that exist, by the name of a parameter or field.
    """

    app: App
    url: str
    schema: BaseSchema
    known: dict[str, list[str]]

    def session(self, role: Role) -> requests.Session:
        """Return a client of a role that keeps its connection."""
        session = requests.Session()
        session.trust_env = False
        session.headers.update(bearer(self.app, role, f"{role.value} at play"))
        return session


@contextmanager
def fuzzed_service(path: Path) -> Iterator[FuzzedService]:
    """Serve an app with tasks, schedules, runs, alerts, an account, rules and tokens."""
    app = create_app(path / "desk.db", guardian=False)
    _define(app)
    with app.running(), ApiServer(app, port=0) as server:
        headers = bearer(app, Role.ADMIN, "ana")
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as http:
            known = _fill(http)
        schema = schemathesis.openapi.from_url(
            f"{server.url}/openapi.json", headers=headers, config=_config()
        )
        yield FuzzedService(app, server.url, schema, known)


def known_values(known: dict[str, list[str]], given: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for what was drawn, with names in it replaced by such as exist."""
    if not isinstance(given, dict):
        return st.just(given)
    replaced = {
        name: st.one_of(st.just(value), st.sampled_from(known[name])) if name in known else None
        for name, value in given.items()
    }
    return st.fixed_dictionaries(
        {
            name: st.just(given[name]) if strategy is None else strategy
            for name, strategy in replaced.items()
        }
    )


def _config() -> SchemathesisConfig:
    """Return how cases are made and judged."""
    project = ProjectConfig(generation=GenerationConfig(with_security_parameters=False))
    # Refusals of a precondition are the right answer to a body that is wrong, too.
    project.checks.negative_data_rejection.expected_statuses = _REFUSALS
    project.checks.not_a_server_error = NotAServerErrorConfig()
    return SchemathesisConfig(projects=ProjectsConfig(default=project), seed=1)


_REFUSALS = ["400", "403", "404", "405", "409", "412", "413", "415", "422", "428"]


def _define(app: App) -> None:
    app.add_account(cash=100_000)

    @app.task(retries=0, interval="1h", tags=["eod"])
    def scan(threshold: int = 5) -> int:
        """Look at the book."""
        if threshold < 0:
            raise ValueError("below zero")
        return threshold * 2

    @app.task(retries=0, masked=["secret"])
    def anything(**fields: Any) -> int:
        return len(fields)

    @app.task(approval="two-person", retries=0)
    def wire_money(amount: int = 1) -> int:
        return amount

    @app.task(retries=0, on_event="moved", where="change < 0")
    def hedge(change: float = 0.0) -> None:
        return None


def _fill(http: httpx.Client) -> dict[str, list[str]]:
    def post(path: str, body: dict[str, Any]) -> Any:
        answer = http.post(PREFIX + path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    tasks = ["scan", "anything", "wire_money", "hedge"]
    runs = [
        post("/runs", {"task": "scan", "payload": {"threshold": -1}})["id"],
        post("/runs", {"task": "scan", "tags": ["eod"]})["id"],
        post("/runs", {"task": "scan", "delay_s": 86_400})["id"],
        post("/runs", {"task": "wire_money"})["id"],
        post("/runs", {"task": "anything", "payload": {"secret": "x"}})["id"],
    ]
    batch = post("/batches", {"task": "scan", "payloads": [{}, {"threshold": 2}]})["id"]
    schedules = [
        post("/schedules", {"id": "a.made", "task": "scan", "trigger": {"interval": "2h"}})["id"],
        post(
            "/schedules",
            {"id": "b.made", "task": "scan", "trigger": {"session": "XNYS close-15m"}},
        )["id"],
    ]
    post("/events", {"type": "moved", "data": {"change": -0.5}, "id": "event-1"})
    trigger = post("/event-triggers", {"task": "scan", "event_type": "moved"})["id"]
    rule = post("/alert-rules", {"kind": "task_failure", "task": "scan"})["id"]
    token = post("/tokens", {"name": "ci", "role": "viewer"})["id"]
    accounts = [one["name"] for one in http.get(PREFIX + "/accounts").json()["items"]]
    workers = [one["id"] for one in http.get(PREFIX + "/workers").json()]
    return {
        "task": tasks,
        "task_name": tasks,
        "run_id": runs,
        "task_id": runs,
        "run": runs,
        "beginning": [runs[0][:8], runs[0]],
        "batch_id": [batch],
        "batch": [batch],
        "schedule_id": schedules,
        "schedule": schedules,
        "event_type": ["moved"],
        "type": ["moved"],
        "trigger_id": [trigger],
        "rule_id": [rule],
        "kind": ["task_failure", "overdue", "drawdown"],
        "token_id": [token],
        "account": accounts or ["default"],
        "worker_id": workers,
        "worker": workers,
        "venue": ["XNYS", "XTKS", "24/7"],
        "timezone": ["Europe/London", "America/New_York"],
        "cron_expression": ["*/5 * * * *", "0 9 * * 1-5"],
        "cron": ["*/5 * * * *"],
        "name": tasks,
        "state": ["failed", "success"],
        "window": ["1h", "5m", "1d"],
    }
