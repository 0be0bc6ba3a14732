"""The seams between the rooms. A docstring here is the contract.

All times are microseconds since the Unix epoch unless a datetime is named.
Every verb of a store is one transaction: it happened whole, or it raised a
`StoreError` and nothing happened. All verbs may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from closingbell.core.call import Call
from closingbell.core.limit import Room
from closingbell.core.retry import RetryPolicy
from closingbell.core.run import Claim, RunItem, RunTemplate, Settlement

# --- where code runs -----------------------------------------------------------------


class Executor(Protocol):
    """Only calls the code: no store, no decisions.

    The ladder of a stop: `call.context.cancelled` is set, then the coroutine is
    cancelled, then the child process is killed and replaced. An executor that cannot
    climb a rung says so in the outcome it reports (`TimedOut(stopped=False)`).
    """

    kind: str

    @property
    def slots(self) -> int:
        """How many calls may be inside at once (running, or waiting in a chunk)."""
        ...

    def start(self) -> None:
        """Make threads or processes ready; may be called once."""
        ...

    def submit(self, calls: Sequence[Call]) -> None:
        """Take calls; each ends in exactly one `call.done(call, outcome)`, from any thread.

        Sets `call.deadline` when an attempt really starts, and enforces it: an attempt that
        exceeds `call.claim.timeout_s` machine seconds ends as `TimedOut`.
        """
        ...

    def stop_call(self, call: Call, reason: str) -> None:
        """Ask a call to end as `Cancelled(reason)`; climbs the ladder; returns at once."""
        ...

    def drain(self) -> list[Call]:
        """Return calls that were taken and have not started; their `done` will not be called."""
        ...

    def stop(self, grace_s: float) -> None:
        """Wait up to `grace_s` for running calls, then end what can be ended.

        Calls still running then end as `GivenBack`, after their code was really stopped
        (async, process), or as `Lost` when it cannot be (thread). Blocks; idempotent.
        """
        ...


# --- the queue: the hot verbs --------------------------------------------------------


class Want(NamedTuple):
    """What a worker would take now.

    Attributes:
        free: free places by executor kind, only those above zero.
        unknown: task names that this worker does not know and will not take.
        room: its free resources, for runs that state their needs.
    """

    free: Mapping[str, int]
    unknown: frozenset[str]
    room: Room


class Claimer(Protocol):
    """The worker's side of the exchange; called by the store, inside its transaction."""

    worker_id: str

    def take_settlements(self) -> list[Settlement]:
        """Hand over what ended since the last call; it is put back if the transaction fails."""
        ...

    def put_back(self, settlements: list[Settlement]) -> None:
        """Take back settlements whose transaction failed, to be tried again."""
        ...

    def want(self, settled: Sequence[Settlement]) -> Want | None:
        """Say what may be claimed, counting the places of `settled` as free; None for nothing."""
        ...

    def deliver(self, claims: list[Claim], settled: Sequence[Settlement], stale: set[str]) -> None:
        """Receive the committed outcome: new claims, and ids whose settlement was refused."""
        ...


class Queue(Protocol):
    """Runs on their way: submit, claim, settle."""

    def attach(self, claimer: Claimer) -> None:
        """Let submissions and promotions of this process claim for `claimer` at once."""
        ...

    def detach(self, claimer: Claimer) -> None:
        """End what `attach` began."""
        ...

    def submit(
        self, template: RunTemplate, items: Sequence[RunItem], connection: Any = None
    ) -> list[str]:
        """Store runs; return their ids in order.

        A run whose `template.key` is taken for its task is not stored again: the id of
        the existing run is returned in its place. An id that is already stored is left
        as it is, so that a submission whose answer was lost can be repeated.

        Args:
            template: what the runs share.
            items: what each has for itself.
            connection: the caller's own SQLAlchemy connection, inside whose transaction
                the runs are then written, so that they exist exactly when its data does.
        """
        ...

    def exchange(self) -> bool:
        """Settle what ended and claim what is wanted, in one transaction.

        A settlement is written only where the run is still running under the same fence;
        others are reported as stale and change nothing. Claims are the free places' worth
        of pending runs in the order priority, due_at, id; each claim raises the run's fence
        by one. Limits hold exactly across all workers. A run may be promoted, and claimed, a
        little before it is due: the worker then holds it back, and its `started_at` is the
        later of now and `due_at`.

        Returns:
            Whether anything was settled or claimed.
        """
        ...

    def promote(self, now: int, limit: int = 10_000) -> int:
        """Move due scheduled runs to pending, and claim; return how many moved."""
        ...

    def next_due(self) -> int | None:
        """Return when the earliest scheduled run is due, or None."""
        ...

    #: How often, in seconds, a worker should ask `changed`.
    poll_s: float
    #: When a rate limit frees a place for a run that waits now, or None.
    blocked_until: int | None

    def changed(self) -> bool:
        """Whether another process may have submitted since the last call; cheap."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, when another process may have submitted.

        A hint, never the data path: hints may be lost, doubled and late.
        """
        ...

    def rides_along(self) -> bool:
        """Whether submissions follow so closely that the next takes what ended with it.

        A worker then need not make a transaction of its own at once; the poll takes
        what is left when the submissions end.
        """
        ...

    def machine_micros(self) -> int:
        """Return the time that leases are written in: the database's clock decides."""
        ...


# --- the rest of the truth -----------------------------------------------------------


class Firing(NamedTuple):
    """One tick of a schedule, as it is stored for ever.

    Attributes:
        fire_at: the instant that the trigger named.
        outcome: "ran" or "skipped".
        reason: why it was skipped.
        instants: how many consecutive ticks this fact stands for (a long outage is one fact).
        until: the last of them.
        template: what to run, for "ran".
        item: what to run, for "ran".
        cancel_other: whether earlier active runs of the schedule are to be cancelled.
    """

    fire_at: int
    outcome: str
    reason: str | None = None
    instants: int = 1
    until: int | None = None
    template: RunTemplate | None = None
    item: RunItem | None = None
    cancel_other: bool = False


class Move(NamedTuple):
    """The due firings of one schedule.

    Attributes:
        schedule_id: which schedule.
        version: the version that was planned from; another one refuses the move.
        ticks: what to store.
        next_fire_at: the instant after them, or None.
    """

    schedule_id: str
    version: int
    ticks: Sequence[Firing]
    next_fire_at: int | None


class LeftOut(NamedTuple):
    """Schedules that a scheduler cannot fire at present: by task, and by id."""

    tasks: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()


class Schedules(Protocol):
    """Stored schedules and their firings, as the scheduler's loop needs them."""

    def due(
        self, now: int, horizon: int, limit: int = 500, without: LeftOut = LeftOut()
    ) -> list[dict[str, Any]]:
        """Return schedules, unpaused at `now`, that fire by `horizon`, oldest first."""
        ...

    def next_due(self, now: int, without: LeftOut = LeftOut()) -> int | None:
        """Return when the next schedule may fire, or a pause ends; None for never."""
        ...

    def active_runs(self, schedule_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return, by schedule, (run id, state) of the runs that have not ended, oldest first.

        The state of one that waits for people is "held".
        """
        ...

    def fire_all(self, moves: Sequence[Move], now: int) -> dict[str, list[str]]:
        """Store firings with their runs and move schedules on, in one transaction.

        A schedule that is gone, or was changed, paused or fired meanwhile, is left alone:
        another scheduler was first. A firing that is already stored is left as it is and
        makes no run.

        Returns:
            For each schedule that moved, the ids of the runs that were made.
        """
        ...


class Workers(Protocol):
    """Who is alive, and what the dead held. Times here are the database's."""

    def register(
        self,
        worker_id: str,
        host: str,
        pid: int,
        about: Mapping[str, Any],
        now: int,
        lease_until: int,
    ) -> None:
        """Store a living worker with its first lease."""
        ...

    def beat(self, worker_id: str, now: int, lease_until: int) -> bool:
        """Extend the lease; False when the worker was declared dead meanwhile."""
        ...

    def cancel_requests(self, worker_id: str) -> list[tuple[str, int, str]]:
        """Return (run id, fence, reason) of this worker's runs that should be cancelled."""
        ...

    def bury(self, now: int) -> list[str]:
        """Declare dead the workers whose lease has ended; return all that still hold runs."""
        ...

    def leave(self, worker_id: str, now: int) -> None:
        """Mark a worker as stopped."""
        ...

    def held(self, worker_ids: Iterable[str], limit: int = 1_000) -> list[Claim]:
        """Return what workers hold, as the claims that they were."""
        ...


class Policies(Protocol):
    """Retry policies that were set at run time."""

    def all(self) -> dict[str, RetryPolicy]:
        """Return them by task."""
        ...


class Logs(Protocol):
    """Where captured output goes while its run still runs."""

    def add_logs(
        self, run_id: str, fence: int, pieces: Sequence[tuple[str, str]], now: int
    ) -> None:
        """Append pieces in order."""
        ...


class Guardian(Protocol):
    """Keeps a worker's lease alive from outside its process.

    A handler that holds the interpreter's lock stops every thread of the worker, its
    heartbeat too; the guardian goes on beating for it.
    """

    def pulse(self, silence_s: float) -> None:
        """Say that the worker lives, and for how long it may now be silent."""
        ...

    def stop(self) -> None:
        """End the guardian and wait for it."""
        ...
