"""`log_format=json`: all that a service writes to stderr by itself is one JSON object a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DESK = """
import logging
from closingbell import create_app

app = create_app()

@app.task(interval="1s", masked=["api_key"], payload={"api_key": "hunter2"})
def snapshot(context, api_key):
    context.log.warning("taken")
    logging.getLogger("uvicorn.error").warning("as uvicorn would say")
"""


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_service_with_json_logs_writes_nothing_else_to_stderr(tmp_path: Path, command: str) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")}
    arguments = (
        ["serve", "desk:app", "--port", "0"] if command == "serve" else ["worker", "desk:app"]
    )
    wanted = "taken" if command == "serve" else "Ctrl-C"
    with subprocess.Popen(
        [sys.executable, "-m", "closingbell.cli.main", *arguments],
        cwd=tmp_path,
        env={**environ, "CLOSINGBELL_LOG_FORMAT": "json", "PYTHONPATH": "."},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stderr is not None
        written: list[str] = []
        for line in service.stderr:
            written.append(line)
            if wanted in line and service.poll() is None:
                service.send_signal(signal.SIGTERM)
        code = service.wait(20)
    assert code == 0, written
    lines: list[dict[str, Any]] = [json.loads(line) for line in written]
    assert all({"ts", "level", "logger", "message"} <= line.keys() for line in lines)
    assert lines[-1]["message"].startswith("stopped")
    if command == "serve":
        (taken, *_) = [line for line in lines if line["message"] == "taken"]
        assert taken["task"] == "snapshot"
        assert taken["attempt"] == 1
        assert len(taken["run_id"]) == 32
        assert taken["worker_id"]
        (other, *_) = [
            line
            for line in lines
            if line["logger"] == "uvicorn.error" and "as" in line["message"][:2]
        ]
        assert other["run_id"] == taken["run_id"]
        assert "hunter2" not in "".join(written)
