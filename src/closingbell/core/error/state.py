"""Errors of states: a request that does not fit how things stand."""

from __future__ import annotations

from closingbell.core.error.root import ClosingbellError


class StateError(ClosingbellError, RuntimeError):
    """The request does not fit the present state."""

    code = "conflict"


class InvalidTransition(StateError):
    """A run cannot go from its state to the one asked for."""

    code = "invalid_transition"

    def __init__(self, run_id: str, state: str, wanted: str) -> None:
        super().__init__(f"run {run_id} is {state}: it cannot become {wanted}")
        self.run_id = run_id
        self.state = state
        self.wanted = wanted


class ApprovalRefused(StateError):
    """Somebody decides about a run who may not, or about one that waits for nobody."""

    code = "approval_refused"

    def __init__(self, run_id: str, act: str, problem: str) -> None:
        super().__init__(f"run {run_id} cannot be {act}: {problem}")
        self.run_id = run_id
        self.act = act
        self.problem = problem


class VersionMismatch(StateError):
    """What is to be changed was changed by somebody else meanwhile."""

    code = "version_mismatch"

    def __init__(self, kind: str, which: str, given: str, current: str) -> None:
        super().__init__(
            f"{kind} {which!r} is at version {current}, not {given}: somebody changed it; read it "
            "again, and send its ETag as If-Match"
        )
        self.kind = kind
        self.which = which
        self.given = given
        self.current = current


class DeclaredInCode(StateError):
    """Something that the app's own code declares, and would declare again."""

    code = "declared_in_code"

    def __init__(self, kind: str, which: str, instead: str) -> None:
        super().__init__(
            f"{kind} {which!r} is declared in the app's code, which would make it again: {instead}"
        )
        self.kind = kind
        self.which = which
        self.instead = instead


class AlreadyExists(StateError):
    """An id that is taken by something else."""

    code = "already_exists"

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(f"there is a {kind} {which!r} already: choose another id, or change it")
        self.kind = kind
        self.which = which


class RunNotFinished(StateError, TimeoutError):
    """A result was asked for before the run ended."""

    code = "run_not_finished"

    def __init__(self, run_id: str, state: str, waited_s: float) -> None:
        super().__init__(
            f"run {run_id} is still {state} after {waited_s:g} s: wait longer, or ask .explain()"
        )
        self.run_id = run_id
        self.state = state
        self.waited_s = waited_s


class AppNotRunning(StateError):
    """The call needs a started app."""

    code = "app_not_running"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"{wanted} needs a running app: call app.start() or use app.running()")
        self.wanted = wanted
