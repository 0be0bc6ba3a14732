"""Errors of look-ups: a name or id that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.error.root import ClosingbellError, near_name


class LookupFailed(ClosingbellError, LookupError):
    """A name or an id that is not there."""

    code = "not_found"


class UnknownTask(LookupFailed):
    """No task of that name is registered."""

    code = "unknown_task"

    def __init__(self, task: str, known: Iterable[str] = ()) -> None:
        self.task = task
        self.near = near_name(task, known)
        hint = (
            f"did you mean {self.near!r}?"
            if self.near
            else "register it with app.add_task() or @app.task"
        )
        super().__init__(f"unknown task {task!r}: {hint}")


class UnknownRun(LookupFailed):
    """No run has that id (or it was pruned)."""

    code = "unknown_run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"unknown run {run_id!r}: it was never submitted here, or it was pruned")
        self.run_id = run_id


class UnknownBatch(LookupFailed):
    """No batch of that id is stored."""

    code = "unknown_batch"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch {batch_id!r} is stored: it was never made here, or was pruned")
        self.batch_id = batch_id


class UnknownSchedule(LookupFailed):
    """No schedule has that id."""

    code = "unknown_schedule"

    def __init__(self, schedule_id: str, known: Iterable[str] = ()) -> None:
        self.schedule_id = schedule_id
        self.near = near_name(schedule_id, known)
        hint = f"did you mean {self.near!r}?" if self.near else "list them with `schedule list`"
        super().__init__(f"unknown schedule {schedule_id!r}: {hint}")


class UnknownEventTrigger(LookupFailed):
    """No event trigger has that id."""

    code = "unknown_event_trigger"

    def __init__(self, trigger_id: str, known: Iterable[str] = ()) -> None:
        self.trigger_id = trigger_id
        self.near = near_name(trigger_id, known)
        hint = f"did you mean {self.near!r}?" if self.near else "list them at /event-triggers"
        super().__init__(f"unknown event trigger {trigger_id!r}: {hint}")


class UnknownWorker(LookupFailed):
    """No worker has that id (or it ended long ago)."""

    code = "unknown_worker"

    def __init__(self, worker_id: str) -> None:
        super().__init__(
            f"unknown worker {worker_id!r}: it never worked on this store, or ended more than a "
            "week ago"
        )
        self.worker_id = worker_id


class UnknownOrder(LookupFailed):
    """The account has no order of that id."""

    code = "unknown_order"

    def __init__(self, order_id: str, account: str) -> None:
        super().__init__(
            f"unknown order {order_id!r}: account {account!r} has none of that id; list them, "
            "or look in another account"
        )
        self.order_id = order_id
        self.account = account


class UnknownToken(LookupFailed):
    """No API token has that id."""

    code = "unknown_token"

    def __init__(self, token_id: str) -> None:
        super().__init__(f"unknown token {token_id!r}: list them with `token list`")
        self.token_id = token_id


class UnknownSession(LookupFailed):
    """No browser session has that id (or it ended long ago)."""

    code = "unknown_session"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"unknown session {session_id!r}: list them with GET /api/v1/sessions")
        self.session_id = session_id


class UnknownAlert(LookupFailed):
    """No alert has that id (or it was cleared long ago)."""

    code = "unknown_alert"

    def __init__(self, alert_id: str) -> None:
        super().__init__(
            f"unknown alert {alert_id!r}: it was never raised here, or it was cleared and pruned; "
            "list them with `closingbell alerts`"
        )
        self.alert_id = alert_id


class UnknownAlertRule(LookupFailed):
    """No rule of alerts has that id."""

    code = "unknown_alert_rule"

    def __init__(self, rule_id: str, known: Iterable[str] = ()) -> None:
        self.rule_id = rule_id
        self.near = near_name(rule_id, known)
        hint = (
            f"did you mean {self.near!r}?"
            if self.near
            else "list them with `closingbell alert rules`"
        )
        super().__init__(f"unknown alert rule {rule_id!r}: {hint}")


class UnknownChannel(LookupFailed):
    """No channel of that name is declared here."""

    code = "unknown_channel"

    def __init__(self, channel: str, known: Iterable[str] = ()) -> None:
        self.channel = channel
        self.near = near_name(channel, known)
        hint = (
            f"did you mean {self.near!r}?"
            if self.near
            else "declare it with app.add_channel() or in the settings file"
        )
        super().__init__(f"unknown channel {channel!r}: {hint}")


class UnknownVenue(LookupFailed):
    """No trading calendar has that name."""

    code = "unknown_venue"

    def __init__(self, venue: str, problem: str) -> None:
        super().__init__(f"no calendar {venue!r}: {problem}")
        self.venue = venue
        self.problem = problem
