"""Every error of closingbell, in one tree.

Longer than 400 lines because the whole tree is read, and kept true, in one place.

Each class has a stable `code` (used by the API, the command line and stored
runs), keeps what it knows in attributes, says in its message what was
expected, what was found and what to do next, and survives pickling, so that
it can cross a process boundary unchanged.

    ClosingbellError
    ├── DefinitionError            what the user declared cannot work
    │   ├── DuplicateTask · TaskDefinitionError · CyclicDependency
    │   ├── TriggerError · CalendarError · TimezoneError
    │   ├── PolicyError · SettingError · ConditionError · TargetError · AccountError
    │   ├── FilterError
    │   ├── AlertRuleError · ChannelError
    ├── LookupFailed               a name or id that is not there
    │   ├── UnknownTask · UnknownRun · UnknownSchedule · UnknownEventTrigger
    │   ├── UnknownVenue
    │   ├── UnknownWorker · UnknownOrder · UnknownBatch
    │   ├── UnknownAlert · UnknownAlertRule · UnknownChannel
    │   ├── UnknownToken · UnknownSession
    ├── PayloadError               what was submitted does not fit
    │   ├── PayloadMismatch · PayloadTooLarge · PayloadNotJson · SubmitError
    ├── RequestRefused             what came in at the door
    │   ├── NotSignedIn · Forbidden · TooManyRequests · PageTokenError
    │   ├── SignInRefused · CrossSiteRefused · HostRefused · BodyTooLarge · ProviderUnavailable
    │   ├── InvalidRequest · RequestKeyReused · RequestInProgress · ServiceBusy · ServerAddressError
    │   ├── VersionMissing
    ├── ServiceUnreachable · ServiceRefused   what a client meets
    ├── StateError                 the request does not fit the present state
    │   ├── VersionMismatch · DeclaredInCode · AlreadyExists
    │   ├── InvalidTransition · ApprovalRefused · RunNotFinished · AppNotRunning
    ├── StoreError                 the database (`retryable` says if waiting helps)
    │   ├── StoreUnavailable · StoreReadOnly · StoreFull · SchemaMismatch
    ├── DeliveryFailed             a message that a channel did not take (`retryable`)
    ├── ExecutionError             what happened to an attempt
    │   ├── TaskFailed · AttemptTimeout · WorkerLost · RunCancelled
    │   ├── HandlerNotFound · ResultNotSerialisable
    └── TradingError               what the desk refuses
        ├── OrderRefused · ArgumentRefused · InsufficientFunds · InsufficientPosition
        ├── UnknownSymbol · AmbiguousSymbol · NoPrice · UnknownAccount · AccountMismatch
        ├── MarketDataError · LookAhead
        ├── LedgerConflict · FenceLost
        ├── BrokerError            the broker (`retryable` says if asking again helps)
        │   ├── BrokerRejected · BrokerUnavailable · BrokerNonsense
        ├── BacktestError · UnknownBacktest · BackupError · ArchiveError · RestoreError
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar


def restore(cls: type[ClosingbellError], message: str, state: dict[str, Any]) -> ClosingbellError:
    """Return an error as it was, of its class, its sentence and its fields."""
    # RunNotFinished is a RuntimeError and a TimeoutError: only the latter's __new__ can make one.
    error = OSError.__new__(cls) if issubclass(cls, OSError) else cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


def near_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely meant, or None."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class ClosingbellError(Exception):
    """Base of every error that closingbell raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), str(self), dict(self.__dict__))

    @property
    def fields(self) -> dict[str, Any]:
        """What the error knows, by attribute name; JSON-ready where the values are."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}


# --- definitions ---------------------------------------------------------------


class DefinitionError(ClosingbellError, ValueError):
    """A declaration that cannot work; raised where it is given."""

    code = "definition_error"


class TaskDefinitionError(DefinitionError):
    """A task's options are wrong or contradict each other."""

    code = "task_definition"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(f"task {task!r}: {problem}")
        self.task = task
        self.problem = problem


class DuplicateTask(DefinitionError):
    """Two tasks claim one name."""

    code = "duplicate_task"

    def __init__(self, task: str) -> None:
        super().__init__(
            f"a task named {task!r} is already registered: task names are unique; "
            "give this one another name or unregister the first"
        )
        self.task = task


class CyclicDependency(DefinitionError):
    """`after=` leads back to where it started."""

    code = "cyclic_dependency"

    def __init__(self, path: Iterable[str]) -> None:
        self.path = list(path)
        super().__init__(
            f"after= forms a cycle: {' -> '.join(self.path)}; remove one of these dependencies"
        )


class TriggerError(DefinitionError):
    """An interval, time, cron expression, date or session rule cannot be read.

    Attributes:
        kind: which rule ("interval", "cron", "session", ...).
        given: what the user wrote.
        expected: what would have been right.
    """

    code = "invalid_trigger"

    def __init__(self, kind: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {kind} {given!r}: expected {expected}")
        self.kind = kind
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class CalendarError(DefinitionError):
    """A trading venue is unknown, or its calendar cannot answer."""

    code = "invalid_calendar"

    def __init__(self, venue: str, problem: str) -> None:
        super().__init__(f"calendar {venue!r}: {problem}")
        self.venue = venue
        self.problem = problem


class TimezoneError(DefinitionError):
    """A time zone name that the tz database does not know."""

    code = "invalid_timezone"

    def __init__(self, given: object, near: str | None = None) -> None:
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(
            f"unknown time zone {given!r}: expected an IANA name such as 'Europe/London'{hint}"
        )
        self.given = str(given)
        self.near = near


class PolicyError(DefinitionError):
    """A schedule or retry policy has an impossible value."""

    code = "invalid_policy"

    def __init__(self, policy: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {policy} {given!r}: expected {expected}")
        self.policy = policy
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class SettingError(DefinitionError):
    """A setting has an impossible value or an unknown name."""

    code = "invalid_setting"

    def __init__(self, setting: str, given: object, expected: str) -> None:
        super().__init__(f"setting {setting!r} is {given!r}: expected {expected}")
        self.setting = setting
        self.given = str(given)
        self.expected = expected


class ConditionError(DefinitionError):
    """A `where=` condition on event data cannot be read."""

    code = "invalid_condition"

    def __init__(self, given: str, problem: str) -> None:
        super().__init__(f"invalid condition {given!r}: {problem}")
        self.given = given
        self.problem = problem


class FilterError(DefinitionError):
    """A filter of runs that cannot be read, or cannot be meant.

    Attributes:
        given: the part in question.
        expected: what would have been right.
        place: where it begins in the line, from 1; None when it did not come in a line.
    """

    code = "invalid_filter"

    def __init__(self, given: str, expected: str, place: int | None = None) -> None:
        where = "" if place is None else f" at character {place}"
        super().__init__(f"invalid filter{where}: {given!r}: expected {expected}")
        self.given = given
        self.expected = expected
        self.place = place


class AccountError(DefinitionError):
    """An account is declared with a term that is impossible, or twice."""

    code = "invalid_account"

    def __init__(self, account: str, term: str, given: object, expected: str) -> None:
        super().__init__(f"account {account!r}: {term} is {given!r}: expected {expected}")
        self.account = account
        self.term = term
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class AlertRuleError(DefinitionError):
    """A rule of alerts has an impossible value."""

    code = "invalid_alert_rule"

    def __init__(self, rule: str, field: str, given: object, expected: str) -> None:
        super().__init__(f"alert rule {rule!r}: {field} is {given!r}: expected {expected}")
        self.rule = rule
        self.field = field
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class ChannelError(DefinitionError):
    """A channel is declared with an impossible option; what was given may be a secret."""

    code = "invalid_channel"

    def __init__(self, channel: str, option: str, expected: str) -> None:
        super().__init__(f"channel {channel!r}: invalid {option}: expected {expected}")
        self.channel = channel
        self.option = option
        self.expected = expected


class TargetError(DefinitionError):
    """The `module:app` that a command was given does not lead to an app."""

    code = "invalid_target"

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(f"target {target!r}: {problem}")
        self.target = target
        self.problem = problem


# --- look-ups --------------------------------------------------------------------


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


# --- what was submitted ------------------------------------------------------------


class PayloadError(ClosingbellError, ValueError):
    """A submission that is refused at the door; nothing was stored."""

    code = "invalid_payload"


class PayloadMismatch(PayloadError):
    """The payload does not fit the handler's signature.

    Attributes:
        task: the task's name.
        problems: one sentence for each field that does not fit.
    """

    code = "payload_mismatch"

    def __init__(self, task: str, problems: Iterable[str]) -> None:
        self.task = task
        self.problems = list(problems)
        super().__init__(f"payload does not fit task {task!r}: {'; '.join(self.problems)}")


class PayloadTooLarge(PayloadError):
    """The payload, as JSON, is larger than the limit."""

    code = "payload_too_large"

    def __init__(self, task: str, size: int, limit: int) -> None:
        super().__init__(
            f"payload of task {task!r} is {size} bytes of JSON: the limit is {limit}; "
            "store the data elsewhere and pass a reference, or raise payload_limit_bytes"
        )
        self.task = task
        self.size = size
        self.limit = limit


class PayloadNotJson(PayloadError):
    """The payload cannot be written as JSON."""

    code = "payload_not_json"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"payload of task {task!r} cannot be written as JSON: {problem}; "
            "expected a mapping of strings to JSON values"
        )
        self.task = task
        self.problem = problem


class SubmitError(PayloadError):
    """An option of a submission is impossible (priority, delay, time, tags, key)."""

    code = "invalid_submission"

    def __init__(self, option: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {option} {given!r}: expected {expected}")
        self.option = option
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


# --- the door ------------------------------------------------------------------


class RequestRefused(ClosingbellError):
    """A request that the service does not take."""

    code = "request_refused"


class NotSignedIn(RequestRefused):
    """Nobody known sends this request."""

    code = "not_signed_in"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} needs a sign-in: send a token as 'Authorization: Bearer ...', or sign in "
            "at /sign-in"
        )
        self.path = path


class Forbidden(RequestRefused):
    """Who asks is known, and may not."""

    code = "forbidden"

    def __init__(self, name: str, role: str, needed: str) -> None:
        super().__init__(
            f"{name} is {role} and this needs {needed}: ask an admin for a token of that role"
        )
        self.name = name
        self.role = str(role)
        self.needed = str(needed)


class TooManyRequests(RequestRefused):
    """Asked too often; `retry_after_s` says when to ask again."""

    code = "too_many_requests"

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"too many {what}: try again in {retry_after_s:.0f} seconds")
        self.what = what
        self.retry_after_s = retry_after_s


class SignInRefused(RequestRefused):
    """What was shown at the door does not open it."""

    code = "sign_in_refused"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: sign in with a token, with an address that `closingbell sign-in` makes, "
            "or ask an admin for one"
        )
        self.problem = problem


class CrossSiteRefused(RequestRefused):
    """A browser sends this, and not from a page of this service."""

    code = "cross_site_request"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem}: send the csrf_token of GET /api/v1/session as X-CSRF-Token from a page of "
            "this service, or a token as 'Authorization: Bearer ...'; behind a proxy, set "
            "public_url"
        )
        self.problem = problem


class HostRefused(RequestRefused):
    """The request names a host that is not this service."""

    code = "unknown_host"

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this service is not {host[:200]!r}: use the address that it listens on, or name the "
            "host in the settings allowed_hosts or public_url"
        )
        self.host = host[:200]


class BodyTooLarge(RequestRefused):
    """The body of a request is larger than the limit."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body is larger than {limit} bytes: send less at once, or raise body_limit_bytes"
        )
        self.limit = limit


class ProviderUnavailable(RequestRefused):
    """The OpenID Connect provider does not answer, or not as one."""

    code = "provider_unavailable"

    def __init__(self, issuer: str, problem: str) -> None:
        super().__init__(f"the provider {issuer} cannot be asked: {problem}; try again later")
        self.issuer = issuer
        self.problem = problem


class PageTokenError(RequestRefused):
    """A page token that was not made by this query."""

    code = "invalid_page_token"

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"this page token {problem}: start at the first page, without 'after', and keep the "
            "query the same from page to page"
        )
        self.problem = problem


class InvalidRequest(RequestRefused):
    """A request whose body, path or query cannot be what the route takes."""

    code = "invalid_request"

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        told = list(problems)
        super().__init__("; ".join(f"{where}: {what}" for where, what in told))
        self.problems = [{"where": where, "what": what} for where, what in told]


class RequestKeyReused(RequestRefused):
    """An Idempotency-Key that came before with another request."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} came before with another request: use a new key for what is "
            "new, and the same key only to send the same request again"
        )
        self.key = key


class RequestInProgress(RequestRefused):
    """The first request with this Idempotency-Key is not answered yet."""

    code = "request_in_progress"

    def __init__(self, key: str, retry_after_s: float) -> None:
        super().__init__(
            f"the first request with Idempotency-Key {key!r} is still at work: send it again in "
            f"{retry_after_s:.0f} seconds for its answer"
        )
        self.key = key
        self.retry_after_s = retry_after_s


class ServiceBusy(RequestRefused):
    """The service takes no more of this kind at present; `retry_after_s` says when to ask again."""

    code = "service_busy"

    def __init__(self, what: str, retry_after_s: float) -> None:
        super().__init__(f"{what}: try again in {retry_after_s:.0f} seconds")
        self.what = what
        self.retry_after_s = retry_after_s


class ServerAddressError(RequestRefused):
    """The API cannot listen where it was asked to."""

    code = "invalid_server_address"

    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(f"the API cannot listen on {host}:{port}: {problem}")
        self.host = host
        self.port = port
        self.problem = problem


class VersionMissing(RequestRefused):
    """A change that does not say which version it changes."""

    code = "version_missing"

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(
            f"a change of {kind} {which!r} needs the header If-Match: read it first, and send its "
            "ETag, so that nobody's change is overwritten unseen"
        )
        self.kind = kind
        self.which = which


class ServiceUnreachable(ClosingbellError):
    """A service does not answer, or not as one of ours."""

    code = "service_unreachable"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(
            f"no closingbell service at {url}: {problem}; is `closingbell serve` running there?"
        )
        self.url = url
        self.problem = problem


class ServiceRefused(ClosingbellError):
    """A service refused with a code that this version does not know."""

    code = "service_refused"

    def __init__(self, status: int, told_code: str, detail: str, told: dict[str, Any]) -> None:
        super().__init__(f"{detail} ({told_code}, status {status})")
        self.status = status
        self.told_code = told_code
        self.told = told


# --- states --------------------------------------------------------------------------


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


# --- the store ------------------------------------------------------------------------


class StoreError(ClosingbellError):
    """The database refused or failed; `retryable` says whether waiting may help."""

    code = "store_error"
    retryable: ClassVar[bool] = False

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class StoreUnavailable(StoreError):
    """The database is gone, locked or restarting."""

    code = "store_unavailable"
    retryable = True


class StoreReadOnly(StoreError):
    """The database cannot be written."""

    code = "store_read_only"
    retryable = True


class StoreFull(StoreError):
    """The disk or the database is full."""

    code = "store_full"
    retryable = True


class SchemaMismatch(StoreError):
    """The database was written by another version of closingbell."""

    code = "schema_mismatch"

    def __init__(self, found: str | None, expected: str, advice: str) -> None:
        super().__init__(
            f"the store has schema {found or 'none'} and this version needs {expected}: {advice}"
        )
        self.found = found
        self.expected = expected


# --- messages ---------------------------------------------------------------------------


class DeliveryFailed(ClosingbellError):
    """A channel did not take a message.

    Attributes:
        channel: its name.
        problem: what went wrong, without secrets.
        retryable: whether sending it again later may help.
        retry_after_s: not before so many seconds, where the receiver said so.
    """

    code = "delivery_failed"

    def __init__(
        self, channel: str, problem: str, retryable: bool, retry_after_s: float | None = None
    ) -> None:
        hope = "it is tried again later" if retryable else "it is not tried again"
        super().__init__(f"channel {channel!r} did not take the message: {problem}; {hope}")
        self.channel = channel
        self.problem = problem
        self.retryable = retryable
        self.retry_after_s = retry_after_s


# --- attempts ---------------------------------------------------------------------------


class ExecutionError(ClosingbellError):
    """What became of an attempt."""

    code = "execution_error"


class TaskFailed(ExecutionError):
    """The run ended as failed; raised where its result was asked for.

    Attributes:
        run_id: the run.
        error: the stored error: `code`, `type`, `message`, `traceback`.
    """

    code = "task_failed"

    def __init__(self, run_id: str, task: str, error: dict[str, Any]) -> None:
        super().__init__(
            f"run {run_id} of task {task!r} failed: "
            f"{error.get('type', 'Error')}: {error.get('message', '')}"
        )
        self.run_id = run_id
        self.task = task
        self.error = error


class RunCancelled(ExecutionError):
    """The run was cancelled or skipped; raised where its result was asked for."""

    code = "run_cancelled"

    def __init__(self, run_id: str, state: str, reason: str | None) -> None:
        super().__init__(f"run {run_id} was {state}: {reason or 'no reason given'}")
        self.run_id = run_id
        self.state = state
        self.reason = reason


class AttemptTimeout(ExecutionError, TimeoutError):
    """An attempt ran longer than its task allows."""

    code = "attempt_timeout"

    def __init__(self, task: str, timeout: timedelta, stopped: bool) -> None:
        how = "it was stopped" if stopped else "its thread cannot be stopped and runs on"
        super().__init__(
            f"task {task!r} exceeded its timeout of {timeout.total_seconds():g} s; {how}"
        )
        self.task = task
        self.timeout_s = timeout.total_seconds()
        self.stopped = stopped


class WorkerLost(ExecutionError):
    """The worker that ran an attempt is gone."""

    code = "worker_lost"

    def __init__(self, worker_id: str, last_seen_at: datetime | None, detail: str = "") -> None:
        seen = f", last seen {last_seen_at.isoformat()}" if last_seen_at else ""
        super().__init__(f"worker {worker_id} was lost{seen}{': ' + detail if detail else ''}")
        self.worker_id = worker_id
        self.last_seen_at = last_seen_at
        self.detail = detail


class HandlerNotFound(ExecutionError):
    """The task's function cannot be imported where it should run."""

    code = "handler_not_found"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"handler {path!r} cannot be imported: {problem}; "
            "a process task must be a module-level function of an importable module"
        )
        self.path = path
        self.problem = problem


class ResultNotSerialisable(ExecutionError):
    """The task returned something that cannot be written as JSON."""

    code = "result_not_serialisable"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"the result of task {task!r} cannot be written as JSON: {problem}; "
            "return JSON values, a dataclass, or None"
        )
        self.task = task
        self.problem = problem


# --- trading ------------------------------------------------------------------------------


class TradingError(ClosingbellError):
    """The desk refuses, or cannot."""

    code = "trading_error"


class OrderRefused(TradingError, ValueError):
    """An order, or an argument of one, that cannot be meant; nothing was stored or sent.

    Attributes:
        argument: which part.
        given: what the caller wrote.
        expected: what would have been right.
    """

    code = "order_refused"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"order refused: {argument} is {given!r}: expected {expected}")
        self.argument = argument
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class ArgumentRefused(TradingError, ValueError):
    """An argument of a call of the algorithm, other than an order's, that cannot be meant."""

    code = "argument_refused"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"{argument} is {given!r}: expected {expected}")
        self.argument = argument
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class InsufficientFunds(TradingError):
    """A purchase costs more than the account may spend."""

    code = "insufficient_funds"

    def __init__(self, symbol: str, needed: object, available: object, currency: str) -> None:
        super().__init__(
            f"order refused: {symbol} costs about {needed} {currency}, and {available} {currency} "
            "is free: buy less, cancel working orders, or give the account leverage"
        )
        self.symbol = symbol
        self.needed = str(needed)
        self.available = str(available)
        self.currency = currency


class InsufficientPosition(TradingError):
    """A sale of more than is held, in an account that does not sell short."""

    code = "insufficient_position"

    def __init__(self, symbol: str, wanted: object, available: object) -> None:
        super().__init__(
            f"order refused: {wanted} {symbol} to sell, and {available} is free: sell less, "
            "cancel working orders, or let the account sell short (short=True)"
        )
        self.symbol = symbol
        self.wanted = str(wanted)
        self.available = str(available)


class UnknownSymbol(TradingError, LookupError):
    """Nothing of that name is held or has market data."""

    code = "unknown_symbol"

    def __init__(self, symbol: str, known: Iterable[str] = ()) -> None:
        self.symbol = symbol
        self.near = near_name(symbol, known)
        hint = f"did you mean {self.near!r}?" if self.near else "store market data for it first"
        super().__init__(f"unknown symbol {symbol!r}: {hint}")


class AmbiguousSymbol(TradingError, LookupError):
    """A name without its quote currency that fits several symbols."""

    code = "ambiguous_symbol"

    def __init__(self, symbol: str, candidates: Iterable[str]) -> None:
        self.symbol = symbol
        self.candidates = sorted(candidates)
        super().__init__(
            f"{symbol!r} may be {' or '.join(self.candidates)}: name the quote currency too"
        )


class NoPrice(TradingError):
    """Something must be valued, and no price of it is known."""

    code = "no_price"

    def __init__(self, symbol: str, at: datetime | None = None) -> None:
        when = f" at {at.isoformat()}" if at else ""
        super().__init__(
            f"no price of {symbol} is known{when}: store market data for it, or wait for its first"
        )
        self.symbol = symbol
        self.at = at


class UnknownAccount(TradingError, LookupError):
    """No account of that name was added."""

    code = "unknown_account"

    def __init__(self, account: str, known: Iterable[str] = ()) -> None:
        self.account = account
        self.near = near_name(account, known)
        hint = f"did you mean {self.near!r}?" if self.near else "add it with app.add_account()"
        super().__init__(f"unknown account {account!r}: {hint}")


class AccountMismatch(TradingError):
    """An account is stored with other terms than the app declares."""

    code = "account_mismatch"

    def __init__(self, account: str, term: str, stored: object, declared: object) -> None:
        super().__init__(
            f"account {account!r} is stored with {term} {stored!s}, and the app says {declared!s}: "
            "declare it as it is stored, or give the account another name"
        )
        self.account = account
        self.term = term
        self.stored = str(stored)
        self.declared = str(declared)


class MarketDataError(TradingError, ValueError):
    """Bars, prices or a timeframe that cannot be right; nothing of them was stored.

    Attributes:
        symbol: whose, or the timeframe in question.
        problem: what is wrong.
        expected: what would have been right.
        row: which row of what was given, from 0; None for all of it.
    """

    code = "invalid_market_data"

    def __init__(self, symbol: str, problem: str, expected: str, row: int | None = None) -> None:
        where = "" if row is None else f", row {row}"
        super().__init__(f"market data {symbol!r}{where}: {problem}; {expected}")
        self.symbol = symbol
        self.problem = problem
        self.expected = expected
        self.row = row


class LookAhead(TradingError):
    """A read of market data that nobody could have known yet."""

    code = "look_ahead"

    def __init__(self, symbol: str, wanted: datetime, known_until: datetime) -> None:
        super().__init__(
            f"market data {symbol!r} up to {wanted.isoformat()} was asked for, and it is "
            f"{known_until.isoformat()}: nothing later is known"
        )
        self.symbol = symbol
        self.wanted = wanted
        self.known_until = known_until


class LedgerConflict(TradingError):
    """The ledger was changed meanwhile; read again and decide again."""

    code = "ledger_conflict"

    def __init__(self, what: str, expected: object, found: object) -> None:
        super().__init__(
            f"{what} is at version {found}, not {expected}: it was changed meanwhile; read it again"
        )
        self.what = what
        self.expected = str(expected)
        self.found = str(found)


class FenceLost(TradingError):
    """The attempt no longer holds its run: nothing more may be done in its name."""

    code = "fence_lost"

    def __init__(self, run_id: str, fence: int) -> None:
        super().__init__(
            f"run {run_id} is no longer held under fence {fence}: another attempt has it, or it "
            "ended; this attempt may not trade any more"
        )
        self.run_id = run_id
        self.fence = fence


class BrokerError(TradingError):
    """The broker refused or failed; `retryable` says whether asking again may help."""

    code = "broker_error"
    retryable: ClassVar[bool] = False

    def __init__(self, broker: str, problem: str) -> None:
        super().__init__(f"broker {broker!r}: {problem}")
        self.broker = broker
        self.problem = problem


class BrokerRejected(BrokerError):
    """The broker has the order and does not want it; it certainly does not trade."""

    code = "broker_rejected"


class BrokerUnavailable(BrokerError):
    """No answer: whether the broker has the order is not known before it is asked."""

    code = "broker_unavailable"
    retryable = True


class BrokerNonsense(BrokerError):
    """An answer that cannot be read, or that contradicts what is known."""

    code = "broker_nonsense"


class BacktestError(TradingError, ValueError):
    """A backtest that cannot be run as it was asked for."""

    code = "backtest_error"

    def __init__(self, argument: str, given: object, expected: str) -> None:
        super().__init__(f"backtest refused: {argument} is {given!s}: expected {expected}")
        self.argument = argument
        self.given = str(given)
        self.expected = expected


class UnknownBacktest(TradingError, LookupError):
    """No stored backtest has that id."""

    code = "unknown_backtest"

    def __init__(self, backtest_id: str, known: Iterable[str] = ()) -> None:
        self.backtest_id = backtest_id
        self.near = near_name(backtest_id, known)
        hint = f"did you mean {self.near!r}?" if self.near else "list them with `backtest list`"
        super().__init__(f"unknown backtest {backtest_id!r}: {hint}")


class BackupError(TradingError):
    """A copy of the database could not be written."""

    code = "backup_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"no backup was written to {path}: {problem}")
        self.path = path
        self.problem = problem


class ArchiveError(TradingError):
    """What is old could not be put into the archive; it stays in the database."""

    code = "archive_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"nothing was pruned: {path} cannot be written or read: {problem}")
        self.path = path
        self.problem = problem


class RestoreError(TradingError):
    """A copy of the database could not be restored; nothing was changed."""

    code = "restore_failed"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"nothing was restored from {path}: {problem}")
        self.path = path
        self.problem = problem
