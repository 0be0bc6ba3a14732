"""What the web server notes of a request: its path, and nothing that was asked in its address."""

from __future__ import annotations

import logging
from typing import Any

#: Where uvicorn notes requests, and, at its level "trace", all that they consist of.
_LOGGERS = ("uvicorn.access", "uvicorn.asgi")
_QUERY = "query_string"


class WithoutQuery(logging.Filter):
    """Takes the query off the addresses in uvicorn's logs: codes travel there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without queries; the name is the library's."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without, record.args))
        return True


_filter = WithoutQuery()


def keep_queries_out() -> None:
    """Let what uvicorn notes in this process be without queries."""
    for name in _LOGGERS:
        # The same filter is not added twice.
        logging.getLogger(name).addFilter(_filter)


def _without(argument: Any) -> Any:
    if isinstance(argument, str):
        return argument.partition("?")[0]
    if isinstance(argument, dict) and _QUERY in argument:
        return {**argument, _QUERY: b"..."}
    return argument
