"""A task that runs in a child process and makes a span there."""

from __future__ import annotations

from opentelemetry import trace


def parent_in_child() -> str:
    """Return the trace and span that are current where the code runs."""
    known = trace.get_current_span().get_span_context()
    return f"{known.trace_id:032x}-{known.span_id:016x}"
