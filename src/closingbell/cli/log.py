"""How a service writes its log: the settings `log_format` and `log_level`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from closingbell.cli.failure import Stderr
from closingbell.cli.output import Output

if TYPE_CHECKING:
    from closingbell.app import App

_log = logging.getLogger("closingbell.service")
#: Whose lines a service writes; what other libraries log is their users' choice.
_OURS = ("closingbell", "uvicorn")


class LoggedNotes(Output):
    """Tells notes as log lines, so that all that a service says is JSON."""

    def note(self, text: str) -> None:
        """Log a note."""
        _log.info("%s", text)


def log_of(app: App, as_json: bool) -> Output:
    """Set the log of a service up, and return where it writes.

    Args:
        app: whose settings say how.
        as_json: whether its documents are JSON; its log is as `log_format` says.
    """
    settings = app.settings
    json_lines = settings.log_format == "json"
    handlers = [h for h in logging.getLogger("closingbell").handlers if isinstance(h, Stderr)]
    for handler in handlers:
        if json_lines:
            from closingbell.monitor.log_line import JsonLine

            handler.setFormatter(JsonLine(lambda: app.worker_id))
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    if logging.getLogger("closingbell").level == logging.DEBUG:
        # --debug was given: it leads.
        level = logging.DEBUG
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        for handler in handlers:
            if handler not in logger.handlers:
                logger.addHandler(handler)
    return (LoggedNotes if json_lines else Output)(as_json, settings.timezone)
