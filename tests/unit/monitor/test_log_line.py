"""A log record as one JSON object on one line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from closingbell.core.call import Call, current_call
from closingbell.core.run import Claim
from closingbell.core.task import TaskDefinition
from closingbell.monitor.log_line import JsonLine


def _record(message: str = "hello", *args: Any, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("closingbell.x", logging.WARNING, "x.py", 1, message, args, None)
    record.__dict__.update({"created": 1_792_000_000.25, **fields})
    return record


def _line(record: logging.LogRecord, formatter: JsonLine | None = None) -> dict[str, Any]:
    text = (formatter or JsonLine()).format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_record_becomes_one_object_with_its_instant_in_utc() -> None:
    assert _line(_record("took %s s", 3)) == {
        "ts": "2026-10-14T17:46:40.250000Z",
        "level": "warning",
        "logger": "closingbell.x",
        "message": "took 3 s",
    }


def test_message_of_several_lines_stays_on_one_line() -> None:
    assert _line(_record('one\ntwo "three" \u2028'))["message"] == 'one\ntwo "three" \u2028'


def test_record_that_a_run_logs_names_the_run() -> None:
    claim = Claim(
        "run-1", 1, "close", "{}", 2, 3, 60.0, 0, None, None, None, "thread", 0, None, 0
    )  # fmt: skip

    def nothing(*_: Any) -> Any: ...

    task = TaskDefinition(name="close", handler=nothing)
    token = current_call.set(Call(claim, task, nothing, nothing, nothing))
    try:
        line = _line(_record(), JsonLine(lambda: "worker-1"))
    finally:
        current_call.reset(token)
    assert [line[name] for name in ("run_id", "task", "attempt", "worker_id")] == [
        "run-1", "close", 2, "worker-1",
    ]  # fmt: skip


def test_record_that_names_its_run_by_itself_is_believed() -> None:
    assert _line(_record(run_id="run-2", task="open", attempt=1))["run_id"] == "run-2"


def test_exception_is_one_field_with_its_traceback() -> None:
    try:
        raise LookupError("no price")
    except LookupError:
        line = _line(_record(exc_info=sys.exc_info()))
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("LookupError: no price")


def test_what_is_handed_over_as_extra_stays_out() -> None:
    assert "api_key" not in JsonLine().format(_record(api_key="hunter2", payload={"a": 1}))
