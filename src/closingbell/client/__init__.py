"""The client of a closingbell service, typed; `Client` for plain code, `AsyncClient` for async.

    with Client("https://desk.example", token_file="desk.token") as desk:
        run = desk.runs.submit("risk_scan", {"threshold": 5_000_000})

What it refuses is raised as the errors that an app in this process raises.
"""

from __future__ import annotations

from closingbell.client.asynchronous.client import AsyncClient
from closingbell.client.synchronous.client import Client

__all__ = ["AsyncClient", "Client"]
