"""Store: one database and everything that is kept in it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from weakref import WeakSet

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from closingbell.core.clock import Clock
from closingbell.store.alert_facts import StoredAlertFacts
from closingbell.store.alert_rules import StoredAlertRules
from closingbell.store.alerts import StoredAlerts
from closingbell.store.announcer import Announcer
from closingbell.store.approvals import StoredApprovals
from closingbell.store.archive import StoredArchive
from closingbell.store.audit import StoredAudit
from closingbell.store.audit_pages import StoredAuditPages
from closingbell.store.backtests import StoredBacktests
from closingbell.store.batches import StoredBatches
from closingbell.store.changes import StoredChanges
from closingbell.store.database import PostgresDatabase, SqliteDatabase, open_database
from closingbell.store.desk_pages import StoredDeskPages
from closingbell.store.event_book import StoredEventBook
from closingbell.store.events import StoredEvents
from closingbell.store.failures import StoredFailures
from closingbell.store.foreign import StoredForeign
from closingbell.store.glance import StoredGlance
from closingbell.store.history import StoredHistory
from closingbell.store.holding import Holding
from closingbell.store.idempotency import StoredRequests
from closingbell.store.ledger import StoredLedger
from closingbell.store.maintenance import StoredMaintenance
from closingbell.store.manifest import StoredManifest
from closingbell.store.masks import StoredMasks
from closingbell.store.migrate import prepare
from closingbell.store.notifications import StoredNotifications
from closingbell.store.performance import StoredPerformance
from closingbell.store.performance_load import StoredLoad
from closingbell.store.policies import StoredPolicies
from closingbell.store.postgres_queue import PostgresQueue
from closingbell.store.retention import Retention
from closingbell.store.roster import StoredRoster
from closingbell.store.run_bulk import StoredBulk
from closingbell.store.run_history import StoredRunHistory
from closingbell.store.run_pages import StoredRunPages
from closingbell.store.runs import StoredRuns
from closingbell.store.schedule_book import StoredScheduleBook
from closingbell.store.schedules import StoredSchedules
from closingbell.store.schema import facts
from closingbell.store.sign_in_codes import StoredSignInCodes
from closingbell.store.sqlite_queue import SqliteQueue
from closingbell.store.task_names import StoredTaskNames
from closingbell.store.tokens import StoredTokens
from closingbell.store.turns import StoredTurns
from closingbell.store.vitals import StoredVitals
from closingbell.store.web_sessions import StoredWebSessions
from closingbell.store.workers import StoredWorkers


class Store:
    """The truth, by noun.

    Attributes:
        audit: who did what.
        audit_pages: the same, page by page.
        queue: submit, claim, settle: the hot verbs.
        runs: reading runs, cancel, retry, logs.
        run_pages: lists of runs, a page at a time.
        run_bulk: one act on many runs.
        run_history: what happened to a run.
        approvals: runs that wait for people, and what people decided.
        batches: what was submitted together.
        masks: which payload fields nothing shows.
        schedules: schedules and their firings.
        schedule_book: the same, as people change and look through them.
        events: event triggers and events.
        event_book: the same, as people look through them.
        task_names: which tasks it knows, whether or not their code is at hand.
        workers: leases, and what the dead held.
        roster: who works, and on what.
        policies: retry policies set at run time.
        history: what ended.
        performance: how runs went, in figures that can be added up.
        load: what stands and waits at present, by task.
        glance: the same at a glance, as far as it is worth counting.
        vitals: how large the store is, and who is still to be told.
        failures: what failed, until somebody dismisses it.
        foreign: results of work that ran elsewhere.
        alerts: what a person must see.
        changes: what changed since an instant.
        alert_rules: what is watched, and who is told.
        alert_facts: what rules look at.
        notifications: what is to be told to whom.
        turns: which of several processes does something at present.
        tokens: what programs come in with.
        web_sessions: browsers that are signed in.
        sign_in_codes: what is good for one sign-in.
        requests: what may be sent again, and what it was answered.
        retention: pruning.
        archive: what is kept of what is pruned.
        ledger: accounts, orders and entries.
        desk_pages: the same, page by page, for people.
        manifest: which files of bars are the truth.
        backtests: finished backtests.
        maintenance: copies, indexes, statistics.
        announcer: what becomes of facts; the app tells it what they start.
    """

    def __init__(self, database: SqliteDatabase | PostgresDatabase, clock: Clock) -> None:
        self.database = database
        self._known_engines: WeakSet[Engine] = WeakSet()
        self.dialect = database.dialect
        self.audit = StoredAudit(database, clock)
        self.queue: SqliteQueue | PostgresQueue = (
            SqliteQueue(database, clock)
            if isinstance(database, SqliteDatabase)
            else PostgresQueue(database, clock)
        )
        self.runs = StoredRuns(database, self.audit)
        self.run_pages = StoredRunPages(database)
        self.run_bulk = StoredBulk(database, self.audit, self.run_pages)
        self.approvals = StoredApprovals(database, self.audit)
        self.run_history = StoredRunHistory(database, self.runs, self.approvals)
        self.batches = StoredBatches(database)
        self.masks = StoredMasks(database, self.audit)
        self.schedules = StoredSchedules(database, self.audit)
        self.schedule_book = StoredScheduleBook(database, self.audit)
        self.events = StoredEvents(database, self.audit)
        self.event_book = StoredEventBook(database, self.audit)
        self.task_names = StoredTaskNames(database)
        self.workers = StoredWorkers(database)
        self.audit_pages = StoredAuditPages(database)
        self.roster = StoredRoster(database)
        self.policies = StoredPolicies(database, self.audit)
        self.history = StoredHistory(database)
        self.performance = StoredPerformance(database)
        self.load = StoredLoad(database)
        self.glance = StoredGlance(database)
        self.vitals = StoredVitals(database)
        self.failures = StoredFailures(database, self.audit)
        self.foreign = StoredForeign(database)
        self.alerts = StoredAlerts(database, self.audit)
        self.changes = StoredChanges(database)
        self.alert_rules = StoredAlertRules(database, self.audit)
        self.alert_facts = StoredAlertFacts(database)
        self.notifications = StoredNotifications(database)
        self.turns = StoredTurns(database)
        self.tokens = StoredTokens(database, self.audit)
        self.web_sessions = StoredWebSessions(database, self.audit)
        self.sign_in_codes = StoredSignInCodes(database, self.audit)
        self.requests = StoredRequests(database)
        self.retention = Retention(database)
        self.announcer = Announcer(self.events, clock)
        holding = Holding(database)
        self.ledger = StoredLedger(database, self.announcer, holding, self.audit)
        self.desk_pages = StoredDeskPages(database)
        self.manifest = StoredManifest(database, self.announcer, self.audit)
        self.backtests = StoredBacktests(database, self.audit)
        self.maintenance = StoredMaintenance(database, holding)
        self.archive = StoredArchive(database, clock, holding, self.masks)

    def prepare(self, upgrade: bool = True) -> str | None:
        """Make the schema present and current; see `migrate.prepare`."""
        return prepare(self.database, upgrade, self.audit)

    @cached_property
    def id(self) -> str:
        """What tells this store from every other; made with its schema."""
        with self.database.reading() as connection:
            return _store_id(connection)

    def is_same(self, connection: Connection) -> bool:
        """Whether a caller's SQLAlchemy connection leads to this very store.

        A database is asked once for each engine; inside a savepoint, so that a database
        without our tables does not spoil the caller's transaction.
        """
        if connection.engine not in self._known_engines:
            try:
                with connection.begin_nested():
                    if _store_id(connection) != self.id:
                        return False
            except DBAPIError:
                return False
            self._known_engines.add(connection.engine)
        return True

    def close(self) -> None:
        """Give all connections back."""
        self.queue.close()
        self.database.close()


def _store_id(connection: Connection) -> str:
    query = select(facts.c.value).where(facts.c.name == "store_id")
    return str(connection.execute(query).scalar_one())


def open_store(database: str | Path | None, clock: Clock) -> Store:
    """Return the store of an address; nothing is connected yet.

    Raises:
        SettingError: the address is neither SQLite nor PostgreSQL.
    """
    return Store(open_database(database), clock)
