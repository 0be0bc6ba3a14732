"""Every error of closingbell, in one tree.

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

from closingbell.core.error.definition import (
    AccountError,
    AlertRuleError,
    CalendarError,
    ChannelError,
    ConditionError,
    CyclicDependency,
    DefinitionError,
    DuplicateTask,
    FilterError,
    PolicyError,
    SettingError,
    TargetError,
    TaskDefinitionError,
    TimezoneError,
    TriggerError,
)
from closingbell.core.error.delivery import DeliveryFailed
from closingbell.core.error.execution import (
    AttemptTimeout,
    ExecutionError,
    HandlerNotFound,
    ResultNotSerialisable,
    RunCancelled,
    TaskFailed,
    WorkerLost,
)
from closingbell.core.error.lookup import (
    LookupFailed,
    UnknownAlert,
    UnknownAlertRule,
    UnknownBatch,
    UnknownChannel,
    UnknownEventTrigger,
    UnknownOrder,
    UnknownRun,
    UnknownSchedule,
    UnknownSession,
    UnknownTask,
    UnknownToken,
    UnknownVenue,
    UnknownWorker,
)
from closingbell.core.error.payload import (
    PayloadError,
    PayloadMismatch,
    PayloadNotJson,
    PayloadTooLarge,
    SubmitError,
)
from closingbell.core.error.request import (
    BodyTooLarge,
    CrossSiteRefused,
    Forbidden,
    HostRefused,
    InvalidRequest,
    NotSignedIn,
    PageTokenError,
    ProviderUnavailable,
    RequestInProgress,
    RequestKeyReused,
    RequestRefused,
    ServerAddressError,
    ServiceBusy,
    ServiceRefused,
    ServiceUnreachable,
    SignInRefused,
    TooManyRequests,
    VersionMissing,
)
from closingbell.core.error.root import ClosingbellError, near_name, restore
from closingbell.core.error.state import (
    AlreadyExists,
    AppNotRunning,
    ApprovalRefused,
    DeclaredInCode,
    InvalidTransition,
    RunNotFinished,
    StateError,
    VersionMismatch,
)
from closingbell.core.error.store import (
    SchemaMismatch,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from closingbell.core.error.trading import (
    AccountMismatch,
    AmbiguousSymbol,
    ArchiveError,
    ArgumentRefused,
    BacktestError,
    BackupError,
    BrokerError,
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
    FenceLost,
    InsufficientFunds,
    InsufficientPosition,
    LedgerConflict,
    LookAhead,
    MarketDataError,
    NoPrice,
    OrderRefused,
    RestoreError,
    TradingError,
    UnknownAccount,
    UnknownBacktest,
    UnknownSymbol,
)

__all__ = [
    "AccountError",
    "AccountMismatch",
    "AlertRuleError",
    "AlreadyExists",
    "AmbiguousSymbol",
    "AppNotRunning",
    "ApprovalRefused",
    "ArchiveError",
    "ArgumentRefused",
    "AttemptTimeout",
    "BacktestError",
    "BackupError",
    "BodyTooLarge",
    "BrokerError",
    "BrokerNonsense",
    "BrokerRejected",
    "BrokerUnavailable",
    "CalendarError",
    "ChannelError",
    "ClosingbellError",
    "ConditionError",
    "CrossSiteRefused",
    "CyclicDependency",
    "DeclaredInCode",
    "DefinitionError",
    "DeliveryFailed",
    "DuplicateTask",
    "ExecutionError",
    "FenceLost",
    "FilterError",
    "Forbidden",
    "HandlerNotFound",
    "HostRefused",
    "InsufficientFunds",
    "InsufficientPosition",
    "InvalidRequest",
    "InvalidTransition",
    "LedgerConflict",
    "LookAhead",
    "LookupFailed",
    "MarketDataError",
    "NoPrice",
    "NotSignedIn",
    "OrderRefused",
    "PageTokenError",
    "PayloadError",
    "PayloadMismatch",
    "PayloadNotJson",
    "PayloadTooLarge",
    "PolicyError",
    "ProviderUnavailable",
    "RequestInProgress",
    "RequestKeyReused",
    "RequestRefused",
    "RestoreError",
    "ResultNotSerialisable",
    "RunCancelled",
    "RunNotFinished",
    "SchemaMismatch",
    "ServerAddressError",
    "ServiceBusy",
    "ServiceRefused",
    "ServiceUnreachable",
    "SettingError",
    "SignInRefused",
    "StateError",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "StoreUnavailable",
    "SubmitError",
    "TargetError",
    "TaskDefinitionError",
    "TaskFailed",
    "TimezoneError",
    "TooManyRequests",
    "TradingError",
    "TriggerError",
    "UnknownAccount",
    "UnknownAlert",
    "UnknownAlertRule",
    "UnknownBacktest",
    "UnknownBatch",
    "UnknownChannel",
    "UnknownEventTrigger",
    "UnknownOrder",
    "UnknownRun",
    "UnknownSchedule",
    "UnknownSession",
    "UnknownSymbol",
    "UnknownTask",
    "UnknownToken",
    "UnknownVenue",
    "UnknownWorker",
    "VersionMismatch",
    "VersionMissing",
    "WorkerLost",
    "near_name",
    "restore",
]
