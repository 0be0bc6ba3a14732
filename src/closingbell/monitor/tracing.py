"""Spans: schedule, queue, attempt, for whoever has set up OpenTelemetry.

An application sets a tracer provider up; a library asks for it. Where nobody did, nothing
is made, nothing is stored, and OpenTelemetry is not even loaded: a run then pays for
looking into `sys.modules`. What a run was asked by is stored with it, as a W3C
`traceparent`, so that the worker that takes it up hours later, on another machine,
continues the same trace.

    schedule <id>           a firing, or the caller's own span
      queue <task>          from due to started
        attempt <task>      from started to ended; current while the task's code runs

Every attempt has its queue span. Times are the desk's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from closingbell.core.call import Call
from closingbell.core.clock import Clock, from_micros
from closingbell.core.run import Claim, Settlement

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

_API = "opentelemetry.trace"
_FAILURES = frozenset(("raised", "timed_out", "lost"))
_ERROR_FIELDS = {
    "type": "exception.type",
    "message": "exception.message",
    "traceback": "exception.stacktrace",
}
#: The provider that was asked last, and its tracer: a provider makes a new one each time.
_asked: tuple[Any, Tracer | None] = (None, None)


def live_tracer() -> Tracer | None:
    """Return our tracer of the provider that the process has set up; None where it has none."""
    global _asked
    # Who has set a provider up has loaded it.
    api = sys.modules.get(_API)
    if api is None:
        return None
    provider = api.get_tracer_provider()
    if provider is not _asked[0]:
        _asked = provider, _tracer_of(provider)
    return _asked[1]


def _tracer_of(provider: Any) -> Tracer | None:
    from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider

    if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)):
        return None
    tracer: Tracer = provider.get_tracer("closingbell")
    return tracer


def caller_trace() -> str | None:
    """Return the `traceparent` of the current span, to be stored with what it asks for."""
    if live_tracer() is None:
        return None
    from opentelemetry.trace import get_current_span

    return _traceparent(get_current_span())


def current_trace_id() -> str | None:
    """Return the id of the current trace as 32 hexadecimal digits, for log lines."""
    trace = caller_trace()
    return None if trace is None else trace.split("-")[1]


def _traceparent(span: Span) -> str | None:
    known = span.get_span_context()
    if not known.is_valid:
        return None
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags:02x}"


def context_of(trace: str | None) -> Context:
    """Return the context that a `traceparent` names; an empty one for None or a broken one."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if trace is None:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": trace}, Context())


class FiringSpans:
    """The spans of firings, told once their runs are stored."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._planned: dict[str, Span] = {}

    def plan(self, run_id: str, schedule_id: str, task: str, fire_at: int) -> str | None:
        """Begin the span of a firing that makes a run; return what to store as its trace."""
        tracer = live_tracer()
        if tracer is None:
            return None
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        span = tracer.start_span(
            f"schedule {schedule_id}",
            Context(),
            SpanKind.PRODUCER,
            {
                "closingbell.schedule.id": schedule_id,
                "closingbell.task": task,
                "closingbell.run.id": run_id,
                "closingbell.fire_at": from_micros(fire_at).isoformat(),
            },
            start_time=self._clock.micros() * 1000,
        )
        self._planned[run_id] = span
        return _traceparent(span)

    def made(self, run_ids: Iterable[str]) -> None:
        """Tell the spans of the runs that were stored, and forget what was planned in vain.

        Of two schedulers only one fires; a span that is not ended is never told.
        """
        if not self._planned:
            return
        planned, self._planned = self._planned, {}
        for run_id in run_ids:
            span = planned.get(run_id)
            if span is not None:
                span.end(self._clock.micros() * 1000)


class AttemptSpans:
    """The queue and attempt spans of one worker's runs."""

    def __init__(self, worker_id: str, clock: Clock) -> None:
        self._worker_id = worker_id
        self._clock = clock

    def enter(self, call: Call) -> None:
        """Begin a call's spans, and make its attempt current where the caller is."""
        span = self._begin(call)
        if span is not None:
            from opentelemetry.context import attach
            from opentelemetry.trace import set_span_in_context

            # Each call has its own copy of the context variables: nothing is to be taken back.
            attach(set_span_in_context(span))

    def send(self, call: Call) -> None:
        """Begin the spans of a call that goes to a child process, and give it their context.

        When the child takes it up is not known before: its time in a chunk counts as attempt.
        """
        span = self._begin(call)
        if span is not None:
            call.claim = call.claim._replace(trace=_traceparent(span))

    def _begin(self, call: Call) -> Span | None:
        tracer = live_tracer()
        if tracer is None or call.span is not None:
            return None
        now = max(self._clock.micros(), call.claim.due_at)
        span = call.span = self._spans(tracer, call.claim, now, self._worker_id)
        return span

    @staticmethod
    def _spans(tracer: Tracer, claim: Claim, started_at: int, worker_id: str) -> Span:
        """Tell the queue span, and begin the attempt's."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        about: dict[str, str | int] = {
            "closingbell.run.id": claim.id,
            "closingbell.task": claim.task,
            "closingbell.attempt": claim.attempt,
            "closingbell.fence": claim.fence,
        }
        parent = context_of(claim.trace)
        queue = tracer.start_span(
            f"queue {claim.task}", parent, attributes=about, start_time=claim.due_at * 1000
        )
        queue.end(started_at * 1000)
        more = {"closingbell.worker.id": worker_id, "closingbell.executor": claim.executor}
        return tracer.start_span(
            f"attempt {claim.task}",
            set_span_in_context(queue, parent),
            SpanKind.CONSUMER,
            {**about, **more},
            start_time=started_at * 1000,
        )

    def leave(self, call: Call, settlement: Settlement) -> None:
        """End the attempt's span with what became of it."""
        if call.span is not None:
            _end(call.span, settlement)

    def lost(self, worker_id: str, claim: Claim, settlement: Settlement) -> None:
        """Tell the spans of an attempt whose worker died before it could."""
        tracer = live_tracer()
        if tracer is not None:
            _end(self._spans(tracer, claim, claim.started_at, worker_id), settlement)


def _end(span: Span, settlement: Settlement) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("closingbell.outcome", settlement.outcome)
    span.set_attribute("closingbell.state", settlement.state)
    if settlement.reason:
        span.set_attribute("closingbell.reason", settlement.reason)
    at = settlement.finished_at * 1000
    if settlement.outcome in _FAILURES:
        error: Mapping[str, Any] = json.loads(settlement.error or "{}")
        told = {name: str(error[key]) for key, name in _ERROR_FIELDS.items() if key in error}
        span.add_event("exception", told, at)
        span.set_status(StatusCode.ERROR, str(error.get("message", settlement.outcome)))
    span.end(at)
