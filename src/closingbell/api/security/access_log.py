"""What the web server notes of a request: its path, and nothing that was asked in its address."""

from __future__ import annotations

import logging


class WithoutQuery(logging.Filter):
    """Takes the query off the addresses in uvicorn's access log: codes travel there."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without queries; the name is the library's."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                one.partition("?")[0] if isinstance(one, str) else one for one in record.args
            )
        return True


_filter = WithoutQuery()


def keep_queries_out() -> None:
    """Let the access log of this process be without queries."""
    # The same filter is not added twice.
    logging.getLogger("uvicorn.access").addFilter(_filter)
