"""Exit codes, and how a command fails: one sentence, no traceback."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TextIO, TypeVar

from closingbell.core.error import (
    BacktestError,
    ClosingbellError,
    DefinitionError,
    Forbidden,
    LookupFailed,
    MarketDataError,
    NotSignedIn,
    PayloadError,
    RequestInProgress,
    RequestRefused,
    RunNotFinished,
    SchemaMismatch,
    ServiceBusy,
    ServiceUnreachable,
    SignInRefused,
    StateError,
    StoreError,
    TargetError,
    TooManyRequests,
    UnknownAccount,
    UnknownBacktest,
    UnknownSymbol,
)

_F = TypeVar("_F", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """What a script may rely on."""

    OK = 0
    #: A run failed, a check failed, or something unforeseen happened.
    FAILED = 1
    #: The command, its options, or what it was given cannot work.
    USAGE = 2
    #: A task, run or schedule that is not there.
    NOT_FOUND = 3
    #: The database cannot be reached, read or written.
    STORE = 4
    #: The request does not fit the present state.
    CONFLICT = 5
    #: The service does not answer, or asks to be left alone for now.
    SERVICE = 6
    #: Who asks is not known to the service, or may not do this.
    NOT_ALLOWED = 7
    #: Ctrl-C.
    INTERRUPTED = 130


#: The same for people, at the end of `--help`.
EXIT_CODES_HELP = (
    "Exit codes: 0 done; 1 a run or a check failed; 2 usage or bad input; 3 not found; "
    "4 the store is unavailable; 5 conflict with the present state; 6 the service of --url does "
    "not answer; 7 it does not know you, or you may not; 130 interrupted. "
    "Results go to stdout, everything else to stderr."
)


class CheckFailed(Exception):
    """A command has said what is wrong and ends with `ExitCode.FAILED`."""


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code that an error means."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case RunNotFinished():
            return ExitCode.FAILED
        case DefinitionError() | PayloadError() | BacktestError() | MarketDataError():
            return ExitCode.USAGE
        case LookupFailed() | UnknownBacktest() | UnknownAccount() | UnknownSymbol():
            return ExitCode.NOT_FOUND
        case StoreError():
            return ExitCode.STORE
        case ServiceUnreachable() | ServiceBusy() | TooManyRequests() | RequestInProgress():
            return ExitCode.SERVICE
        case NotSignedIn() | SignInRefused() | Forbidden():
            return ExitCode.NOT_ALLOWED
        case RequestRefused():
            return ExitCode.USAGE
        case StateError():
            return ExitCode.CONFLICT
        case _:
            return ExitCode.FAILED


def guarded(command: _F) -> _F:
    """Turn what a command raises into a sentence on stderr and an exit code.

    With `--debug` the traceback is shown before the sentence.
    """

    @functools.wraps(command)
    def guard(*args: Any, **kwargs: Any) -> Any:
        from typer import Exit

        debug = bool(kwargs.get("debug"))
        _log_to_stderr(debug)
        try:
            value = command(*args, **kwargs)
            sys.stdout.flush()
            return value
        except CheckFailed:
            raise Exit(ExitCode.FAILED) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing may be written at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(ExitCode.OK) from None
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, Exit):
                raise
            _tell(error, debug)
            raise Exit(exit_code_of(error)) from None

    return guard  # type: ignore[return-value]


def _tell(error: BaseException, debug: bool) -> None:
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ClosingbellError):
        print(f"error[{error.code}]: {error}", file=sys.stderr)
    else:
        print(f"error[internal]: {type(error).__name__}: {error}", file=sys.stderr)
    hint = _hint(error)
    if hint and not debug:
        print(f"hint: {hint}", file=sys.stderr)


def _hint(error: BaseException) -> str | None:
    match error:
        case SchemaMismatch():
            return None
        case StoreError():
            return "is the right database named (--database, CLOSINGBELL_DATABASE)? ask `doctor`"
        case NotSignedIn() | SignInRefused():
            return "a token comes from --token-file or CLOSINGBELL_TOKEN; `token create` makes one"
        case TargetError():
            return "a target is module:app or path/desk.py:app; --debug shows the traceback"
        case ClosingbellError():
            return None
        case _:
            return "run it again with --debug and report what it shows"


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the time, so that a progress display can stand in for it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The present stderr."""
        return sys.stderr


def _log_to_stderr(debug: bool) -> None:
    root = logging.getLogger("closingbell")
    if not any(isinstance(handler, Stderr) for handler in root.handlers):
        handler = Stderr()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)


def quieten() -> None:
    """Leave only warnings on stderr: what tasks log is kept with their runs all the same."""
    for handler in logging.getLogger("closingbell").handlers:
        handler.setLevel(logging.WARNING)
