"""Ready task libraries: add one to an app, and it works live, on paper and in a backtest.

    from closingbell.tasks import RiskManager, Settlement

    app.add_task(RiskManager(max_drawdown=0.15))
    app.add_task(Settlement())

Each takes the options of any task beside its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from closingbell.monitor.notify.smtp_sender import SmtpSender
    from closingbell.tasks.backtest_task import BacktestTask
    from closingbell.tasks.data_archive import DataArchive
    from closingbell.tasks.data_quality import DataQuality
    from closingbell.tasks.data_sync import DataSync
    from closingbell.tasks.database_maintenance import DatabaseMaintenance
    from closingbell.tasks.performance_report import PerformanceReport
    from closingbell.tasks.portfolio_monitor import PortfolioMonitor
    from closingbell.tasks.reconciliation import Reconciliation
    from closingbell.tasks.risk_limits import RiskManager
    from closingbell.tasks.risk_scan import RiskScan
    from closingbell.tasks.settlement import Charge, Settlement
    from closingbell.tasks.strategy_deployment import StrategyDeployment
    from closingbell.tasks.strategy_stage import Gate, Version
    from closingbell.tasks.target_weight_rebalance import TargetWeightRebalance
    from closingbell.tasks.task_watch import TaskWatch

#: Names that are loaded when they are first used, and from where.
_LATER = {
    "BacktestTask": "tasks.backtest_task",
    "Charge": "tasks.settlement",
    "DataArchive": "tasks.data_archive",
    "DataQuality": "tasks.data_quality",
    "DataSync": "tasks.data_sync",
    "DatabaseMaintenance": "tasks.database_maintenance",
    "Gate": "tasks.strategy_stage",
    "PerformanceReport": "tasks.performance_report",
    "PortfolioMonitor": "tasks.portfolio_monitor",
    "Reconciliation": "tasks.reconciliation",
    "RiskManager": "tasks.risk_limits",
    "RiskScan": "tasks.risk_scan",
    "Settlement": "tasks.settlement",
    "SmtpSender": "monitor.notify.smtp_sender",
    "StrategyDeployment": "tasks.strategy_deployment",
    "TargetWeightRebalance": "tasks.target_weight_rebalance",
    "TaskWatch": "tasks.task_watch",
    "Version": "tasks.strategy_stage",
}

__all__ = [
    "BacktestTask",
    "Charge",
    "DataArchive",
    "DataQuality",
    "DataSync",
    "DatabaseMaintenance",
    "Gate",
    "PerformanceReport",
    "PortfolioMonitor",
    "Reconciliation",
    "RiskManager",
    "RiskScan",
    "Settlement",
    "SmtpSender",
    "StrategyDeployment",
    "TargetWeightRebalance",
    "TaskWatch",
    "Version",
]


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module 'closingbell.tasks' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"closingbell.{module}"), name)
    globals()[name] = found
    return found
