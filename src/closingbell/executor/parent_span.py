"""In a child process: whose span the spans of a task's code belong to."""

from __future__ import annotations

import sys


def adopt(traceparent: str | None) -> None:
    """Make the attempt's span the current one, where the task's code has loaded OpenTelemetry."""
    if traceparent is None or "opentelemetry.trace" not in sys.modules:
        return
    from opentelemetry.context import Context, attach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    # Each call has its own copy of the context variables: nothing is to be taken back.
    attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context()))
