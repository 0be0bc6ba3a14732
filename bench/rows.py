"""The rows of the tables: each system, each way to set it, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass

ALL = ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8")


@dataclass(frozen=True)
class Row:
    """One line of the tables.

    Attributes:
        name: the line's name.
        module: the adapter, `bench.peers.<module>:<peer>`.
        peer: its class.
        variant: how it is set.
        server: "", "postgres" or "redis".
        workloads: what is measured on it.
        many: runs drained in W2 and submitted in bulk.
        settings: what differs from its defaults, and why that is fair.
        durability: what is on the disk when a submission returns, and what is kept of the end.
    """

    name: str
    module: str
    peer: str
    variant: str
    server: str = ""
    workloads: tuple[str, ...] = ALL
    many: int = 5_000
    settings: str = ""
    durability: str = ""

    @property
    def is_ours(self) -> bool:
        return self.module.startswith("closingbell")

    @property
    def is_raw(self) -> bool:
        return self.module in ("ceilings", "bare_loop")

    @property
    def needs_python(self) -> bool:
        """Whether a backtester does not live beside our own dependencies."""
        return self.module == "investing_algorithm_framework"

    @property
    def store(self) -> str:
        """ "sqlite", "pg" or "redis"."""
        return {"postgres": "pg", "redis": "redis"}.get(self.server, "sqlite")


_OURS = (
    "fenced claims, captured logs, validated payloads and history on; one `async` worker, two"
    " children for `process`"
)
_OURS_KEPT = "committed row before submit returns; state, attempt, result and logs kept"

ROWS = (
    Row(
        "closingbell-sqlite",
        "closingbell",
        "ClosingBell",
        "sqlite",
        workloads=(*ALL, "W5M"),
        many=50_000,
        settings=f"worker and scheduler inside the client's process; WAL, synchronous FULL; {_OURS}",
        durability=_OURS_KEPT,
    ),
    Row(
        "closingbell-sqlite-worker",
        "closingbell",
        "ClosingBell",
        "sqlite-1",
        workloads=("W2", "W3", "W4", "W5", "W6", "W7"),
        many=50_000,
        settings="as above, the worker in a process of its own",
        durability=_OURS_KEPT,
    ),
    Row(
        "closingbell-pg",
        "closingbell",
        "ClosingBell",
        "pg",
        "postgres",
        workloads=("W1", "W2", "W3", "W4", "W5", "W5M", "W6", "W7"),
        many=50_000,
        settings=f"worker and scheduler inside the client's process; {_OURS}",
        durability=_OURS_KEPT,
    ),
    Row(
        "closingbell-pg-worker",
        "closingbell",
        "ClosingBell",
        "pg-1",
        "postgres",
        workloads=("W2", "W3", "W4", "W5", "W6", "W7"),
        many=50_000,
        settings="as above, the worker in a process of its own",
        durability=_OURS_KEPT,
    ),
    Row(
        "closingbell-pg-2-workers",
        "closingbell",
        "ClosingBell",
        "pg-2",
        "postgres",
        workloads=("W2", "W3"),
        many=50_000,
        settings="as above, two workers in processes of their own",
        durability=_OURS_KEPT,
    ),
    Row(
        "huey-sqlite",
        "huey",
        "Huey",
        "sqlite",
        many=20_000,
        settings="`huey_consumer -k process -w 2`; WAL, synchronous FULL; its poll (0.1 s, growing)"
        " and its scheduler's interval (1 s) are its defaults",
        durability="SQLite FULL at submit; a task leaves the queue when a worker takes it, so a"
        " killed worker loses it; result stored",
    ),
    Row(
        "apscheduler-sqlite",
        "apscheduler",
        "APScheduler",
        "sqlite",
        settings="inside the client's process with ProcessPoolExecutor(2); SQLAlchemy store"
        " (rollback journal, FULL)",
        durability="a run leaves the store when it is handed to the pool; neither end nor result"
        " is stored",
    ),
    Row(
        "dbos-sqlite",
        "dbos",
        "Dbos",
        "sqlite",
        settings="one process, as its documentation asks; queue polled each second (its default)"
        " without a concurrency limit; W6: worker_concurrency 2, polled every 50 ms;"
        " bulk = 500 to a transaction",
        durability="rollback journal, FULL; state and result kept",
    ),
    Row(
        "pgqueuer-pg",
        "pgqueuer",
        "PgQueuerPeer",
        "postgres",
        "postgres",
        many=50_000,
        settings="two processes, batch_size 100 (default 10), asyncpg, uvloop, durability"
        " `durable` (its default); W6: batches of 1, two at once",
        durability="committed row; its end is a log row; results are not kept, claims not fenced",
    ),
    Row(
        "oban-pg",
        "oban",
        "Oban",
        "postgres",
        "postgres",
        many=20_000,
        settings="on Python 3.12, which it asks for; two `oban start` processes with a queue of 100"
        " (W6: 1), uvloop; multi-process"
        " and bulk acknowledgement belong to its paid edition",
        durability="committed row; state kept, results not",
    ),
    Row(
        "procrastinate-pg",
        "procrastinate",
        "Procrastinate",
        "postgres",
        "postgres",
        settings="two workers, concurrency 30 (default 1; W6: 1), async tasks, LISTEN/NOTIFY",
        durability="committed row; state kept, results not",
    ),
    Row(
        "dbos-pg",
        "dbos",
        "Dbos",
        "postgres",
        "postgres",
        settings="two processes; else as on SQLite",
        durability="committed row; state and result kept",
    ),
    Row(
        "huey-redis",
        "huey",
        "Huey",
        "redis",
        "redis",
        settings="as on SQLite; waits blocking on Redis",
        durability="in Redis' fsynced log at submit; at most once; result stored",
    ),
    Row(
        "dramatiq-redis",
        "dramatiq",
        "Dramatiq",
        "redis",
        "redis",
        settings="two processes of eight threads (its default; W6: 1), results on Redis",
        durability="in Redis' fsynced log at submit; acknowledged after the handler; result stored",
    ),
    Row(
        "celery-redis",
        "celery",
        "CeleryPeer",
        "redis",
        "redis",
        settings="prefork 2, prefetch 64 (its advice for short tasks; W6: 1), acks_late, no gossip,"
        " mingle or heartbeat; bulk = `group`, one message each",
        durability="in Redis' fsynced log at submit; acknowledged late; result stored",
    ),
    Row(
        "raw-disk",
        "ceilings",
        "disk",
        "",
        workloads=("W1",),
        settings="append 200 bytes, fdatasync",
    ),
    Row(
        "raw-sqlite",
        "ceilings",
        "sqlite",
        "",
        workloads=("W1", "W2"),
        many=50_000,
        settings="a bare sqlite3 loop, WAL, FULL: one insert to a commit and 5,000 to a commit;"
        " complete 100 (500) and claim the next in one transaction",
    ),
    Row(
        "raw-pg",
        "ceilings",
        "postgres",
        "",
        "postgres",
        workloads=("W1", "W2"),
        many=50_000,
        settings="a bare psycopg loop on one connection: one insert to a commit and 5,000 to a"
        " commit; complete 100 (500) and claim the next in one statement",
    ),
    Row(
        "raw-pg-asyncpg",
        "ceilings",
        "asyncpg",
        "",
        "postgres",
        workloads=("W1", "W2"),
        many=50_000,
        settings="the same loop on asyncpg",
    ),
    Row(
        "closingbell",
        "closingbell_backtest",
        "",
        "",
        workloads=("T1", "T1M", "T2", "T3", "T4", "T5", "T6", "T7"),
        settings="`Decimal`; the strategy is a task of each bar's close, run by the engine that runs"
        " it live; running sums of the last closes; report, trades and task ledger made, not stored;"
        " T6: on SQLite, WAL, synchronous FULL",
        durability="T6: committed before it returns; backtests keep theirs in memory until asked",
    ),
    Row(
        "closingbell-ledger-pg",
        "closingbell_backtest",
        "",
        "",
        "postgres",
        workloads=("T6",),
        settings="PostgreSQL's defaults, loopback TCP",
        durability="committed before it returns",
    ),
    Row(
        "backtesting.py",
        "backtesting_py",
        "",
        "",
        workloads=("T1", "T1M"),
        settings="floats; both means computed for all bars at once by pandas 2.3.3, as its documentation"
        " does; one symbol, no tasks, no clock",
        durability="nothing is kept",
    ),
    Row(
        "investing-algorithm-framework",
        "investing_algorithm_framework",
        "",
        "",
        workloads=("T1",),
        settings="event backtest, bars from CSV, means of the window of 90 calendar days that it hands"
        " to the strategy each calendar day, weekends too; that also holds bars which have not ended yet,"
        " which the strategy leaves out",
        durability="orders, trades and snapshots in a store of its own",
    ),
    Row(
        "bare-loop",
        "bare_loop",
        "",
        "",
        workloads=("T1", "T1M"),
        settings="one Python loop over the bars with `Decimal`: means, one position, cash, value, peak",
        durability="nothing is kept",
    ),
)
