"""How attempts end: the one answer to each call, and failures in words."""

from __future__ import annotations

import logging
from datetime import timedelta

from closingbell.core.call import Call, describe_error
from closingbell.core.error import AttemptTimeout, WorkerLost
from closingbell.core.outcome import Lost, Outcome, Raised, TimedOut

_log = logging.getLogger("closingbell")


def end(call: Call, outcome: Outcome) -> None:
    """Give a call its answer; whoever does so has made sure that nobody else does."""
    call.outcome = outcome
    try:
        call.done(call, outcome)
    except Exception:
        # A fault in taking one answer must not end the thread that gives all the others.
        _log.exception("the outcome of run %s was not taken", call.claim.id)


def raised(error: BaseException) -> Raised:
    """Return the outcome of an exception, its traceback beginning in the user's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith("closingbell."):
            break
        trace = trace.tb_next
    return Raised(describe_error(error.with_traceback(trace)))


def timed_out(call: Call, *, stopped: bool, detail: str = "") -> TimedOut:
    """Return the outcome of an attempt that ran past its deadline.

    Args:
        call: the attempt.
        stopped: whether its code has really ended.
        detail: what to say in place of the error's own half sentence.
    """
    error = AttemptTimeout(call.claim.task, timedelta(seconds=call.claim.timeout_s), stopped)
    described = describe_error(error)
    if detail:
        message = f"{str(error).partition(';')[0]}; {detail}"
        described["message"] = message
        described["traceback"] = f"{described['type']}: {message}\n"
    return TimedOut(described, stopped)


def lost(who: str, detail: str) -> Lost:
    """Return the outcome of an attempt whose executor can no longer answer for it.

    Args:
        who: what was lost, such as "process 4242".
        detail: how, in words.
    """
    return Lost(describe_error(WorkerLost(who, None, detail)))
