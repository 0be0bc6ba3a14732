"""One trace from who asked, over the queue, to the attempt; and none where nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from closingbell.api.application import create_api
from closingbell.api.tracing import TracedRequests
from closingbell.app import App
from closingbell.core.clock import SystemClock, to_micros
from closingbell.core.error import TaskFailed
from closingbell.core.retry import RetryPolicy
from closingbell.engine.rescue import Rescue
from closingbell.store.schema import runs
from tests.acceptance.desk import PATIENCE_S, eventually, make_app
from tests.acceptance.spanned import parent_in_child


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What a process would export that has set up the SDK."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    # A process may set its provider once; these tests share one process.
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return kept


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    app = make_app(store_address, SystemClock(), thread_slots=2, process_slots=1)
    yield app
    app.stop(0)


def _spans(exporter: InMemorySpanExporter, *names: str) -> list[ReadableSpan]:
    """Return one span for each name, waiting until all are told."""

    def told() -> list[ReadableSpan] | None:
        by_name = {span.name: span for span in exporter.get_finished_spans()}
        return [by_name[name] for name in names] if by_name.keys() >= set(names) else None

    found = eventually(told)
    assert found is not None
    return found


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def _parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def _stored_trace(app: App, run_id: str) -> str | None:
    with app.store.database.reading() as connection:
        query = select(runs.c.trace).where(runs.c.id == run_id)
        stored: str | None = connection.execute(query).scalar_one()
        return stored


def _ask(app: App, task: Any, traceparent: str) -> str:
    """Submit a run by a request that carries a `traceparent`; return its id."""

    def submit(_: Request) -> JSONResponse:
        return JSONResponse({"id": app.submit(task).id}, 201)

    door = TracedRequests(Starlette(routes=[Route("/runs", submit, methods=["POST"])]))

    async def ask() -> str:
        transport = httpx.ASGITransport(door)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/runs", headers={"traceparent": traceparent})
        assert answer.status_code == 201
        return str(answer.json()["id"])

    return asyncio.run(ask())


@pytest.mark.parametrize("executor", ["thread", "async"])
def test_one_trace_leads_from_a_request_over_the_queue_to_the_attempt(
    app: App, exporter: InMemorySpanExporter, executor: str
) -> None:
    inside: list[int] = []

    def plain() -> None:
        inside.append(trace.get_current_span().get_span_context().span_id)
        with trace.get_tracer("desk").start_as_current_span("fetch"):
            pass

    async def coroutine() -> None:
        await asyncio.sleep(0)
        plain()

    handler: Callable[[], Any] = coroutine if executor == "async" else plain
    task = app.task(name="close", executor=executor)(handler)
    app.start(block=False)
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run_id = _ask(app, task, caller)
    app.machinery.wait_run(run_id, PATIENCE_S)

    request, queue, attempt, fetch = _spans(
        exporter, "POST /runs", "queue close", "attempt close", "fetch"
    )
    assert request.kind is SpanKind.SERVER
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 201
    assert _parent(request) == 0xB7AD6B7169203331
    assert _parent(queue) == _id(request)
    assert _parent(attempt) == _id(queue)
    assert _parent(fetch) == _id(attempt)
    assert inside == [_id(attempt)]
    for span in (request, queue, attempt, fetch):
        assert span.context is not None
        assert span.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C

    run = app.get_run(run_id)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert queue.start_time == to_micros(run.due_at) * 1000
    assert queue.end_time == attempt.start_time
    assert attempt.start_time is not None
    # The row counts back from the end of the attempt, the span forward from its start.
    assert abs(attempt.start_time - to_micros(run.started_at) * 1000) < 50_000_000
    assert attempt.end_time == to_micros(run.finished_at) * 1000
    assert attempt.attributes is not None
    assert dict(attempt.attributes) == {
        "closingbell.run.id": run_id,
        "closingbell.task": "close",
        "closingbell.attempt": 1,
        "closingbell.fence": 1,
        "closingbell.worker.id": run.worker_id,
        "closingbell.executor": executor,
        "closingbell.outcome": "returned",
        "closingbell.state": "success",
    }


def test_spans_in_a_child_process_belong_to_the_attempt(
    app: App, exporter: InMemorySpanExporter
) -> None:
    task = app.task(name="value", executor="process")(parent_in_child)
    app.start(block=False)
    with trace.get_tracer("desk").start_as_current_span("morning"):
        run = app.submit(task)
    seen = run.result(timeout=PATIENCE_S)
    morning, attempt = _spans(exporter, "morning", "attempt value")
    assert attempt.context is not None
    assert seen == f"{attempt.context.trace_id:032x}-{attempt.context.span_id:016x}"
    assert morning.context is not None
    assert attempt.context.trace_id == morning.context.trace_id


def test_failed_attempts_have_a_queue_span_each_and_say_what_was_raised(
    app: App, exporter: InMemorySpanExporter
) -> None:
    @app.task(name="flaky", retries=RetryPolicy(retries=1, initial_delay=timedelta(0)))
    def flaky() -> None:
        raise LookupError("no price for AAPL")

    app.start(block=False)
    with trace.get_tracer("desk").start_as_current_span("morning"):
        run = app.submit(flaky)
    with pytest.raises(TaskFailed):
        run.result(timeout=PATIENCE_S)
    told = eventually(
        lambda: (
            spans
            if len(spans := [s for s in exporter.get_finished_spans() if s.name[:4] == "atte"]) == 2
            else None
        )
    )
    assert told is not None
    (morning,) = _spans(exporter, "morning")
    queues = [s for s in exporter.get_finished_spans() if s.name == "queue flaky"]
    assert [_parent(queue) for queue in queues] == [_id(morning)] * 2
    assert [_parent(attempt) for attempt in told] == [_id(queue) for queue in queues]
    assert [(s.attributes or {})["closingbell.attempt"] for s in told] == [1, 2]
    for span in told:
        assert span.status.status_code is StatusCode.ERROR
        (event,) = span.events
        assert event.attributes is not None
        assert event.attributes["exception.type"] == "LookupError"
        assert event.attributes["exception.message"] == "no price for AAPL"


def test_firing_of_a_schedule_begins_the_trace_of_its_run(
    app: App, exporter: InMemorySpanExporter
) -> None:
    @app.task(name="tick", interval="1s")
    def tick() -> None: ...

    app.start(block=False)
    fired, queue, attempt = _spans(exporter, "schedule tick", "queue tick", "attempt tick")
    assert fired.kind is SpanKind.PRODUCER
    assert fired.parent is None
    # There may have been more than one firing by now: the latest of each name is compared.
    app.stop(1)
    by_id = {_id(span): span for span in exporter.get_finished_spans()}
    parent = by_id[_parent(queue) or 0]
    assert parent.name == "schedule tick"
    assert (parent.attributes or {})["closingbell.run.id"] == (queue.attributes or {})[
        "closingbell.run.id"
    ]
    assert by_id[_parent(attempt) or 0].name == "queue tick"


def test_attempt_of_a_dead_worker_is_told_by_who_rescues_it(
    app: App, exporter: InMemorySpanExporter
) -> None:
    @app.task(name="settle")
    def settle() -> None: ...

    with trace.get_tracer("desk").start_as_current_span("morning"):
        run = app.submit(settle)
    app.start(block=False)
    run.result(timeout=PATIENCE_S)
    claim = _claim_of(app, run.id)
    runtime = app.machinery._runtime
    assert runtime is not None
    exporter.clear()
    rescue = Rescue(
        workers=_DeadWorkers(claim),
        queue=app.store.queue,
        attempts=runtime._attempts,
        clock=app.clock,
        resolve=app.registry.get_task,
        on_lost=runtime._spans.lost,
    )
    rescue.settlements()
    queue, attempt = _spans(exporter, "queue settle", "attempt settle")
    assert (attempt.attributes or {})["closingbell.outcome"] == "lost"
    assert (attempt.attributes or {})["closingbell.worker.id"] == "gone"
    assert attempt.start_time == claim.started_at * 1000
    assert _parent(attempt) == _id(queue)
    assert queue.context is not None
    assert f"{queue.context.trace_id:032x}" in claim.trace


def test_without_a_provider_no_span_is_made_and_no_trace_is_stored(app: App) -> None:
    @app.task(name="quiet")
    def quiet() -> str:
        return str(trace.get_current_span().get_span_context().is_valid)

    app.start(block=False)
    with trace.get_tracer("desk").start_as_current_span("morning"):
        run = app.submit(quiet)
    assert run.result(timeout=PATIENCE_S) == "False"
    assert _stored_trace(app, run.id) is None


def test_runs_that_nobody_asked_for_in_a_span_store_no_trace_but_have_their_spans(
    app: App, exporter: InMemorySpanExporter
) -> None:
    @app.task(name="alone")
    def alone() -> None: ...

    app.start(block=False)
    run = app.submit(alone)
    run.result(timeout=PATIENCE_S)
    assert _stored_trace(app, run.id) is None
    queue, attempt = _spans(exporter, "queue alone", "attempt alone")
    assert queue.parent is None
    assert _parent(attempt) == _id(queue)


def test_broken_traceparent_of_a_caller_begins_a_new_trace(
    app: App, exporter: InMemorySpanExporter
) -> None:
    task = app.task(name="any")(lambda: None)
    _ask(app, task, "00-x-y")
    (request,) = _spans(exporter, "POST /runs")
    assert request.parent is None


def test_api_of_an_app_traces_its_requests(app: App) -> None:
    installed: list[object] = [entry.cls for entry in create_api(app).user_middleware]
    assert TracedRequests in installed


class _DeadWorkers:
    """A worker that died with one run."""

    def __init__(self, claim: Any) -> None:
        self._claim = claim

    def bury(self, _: int) -> list[str]:
        return ["gone"]

    def held(self, _: Any, limit: int = 1) -> list[Any]:
        return [self._claim]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def _claim_of(app: App, run_id: str) -> Any:
    from closingbell.core.run import Claim

    run = app.get_run(run_id)
    assert run.started_at is not None
    return Claim(
        run_id, 1, run.task, "{}", 1, 1, 60.0, to_micros(run.due_at), None, None, None,
        run.executor, 0, None, to_micros(run.started_at), _stored_trace(app, run_id),
    )  # fmt: skip
