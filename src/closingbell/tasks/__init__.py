"""Ready task libraries: add one to an app, and it works live, on paper and in a backtest.

    from closingbell.tasks import RiskManager, Settlement

    app.add_task(RiskManager(max_drawdown=0.15))
    app.add_task(Settlement())

Each takes the options of any task beside its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from closingbell.tasks.smtp_sender import SmtpSender
    from closingbell.tasks.strategy_deployment import StrategyDeployment
    from closingbell.tasks.strategy_stage import Gate, Version
    from closingbell.tasks.target_weight_rebalance import TargetWeightRebalance
    from closingbell.tasks.task_watch import TaskWatch

#: Names that are loaded when they are first used, and from where.
_LATER = {
    "BacktestTask": "backtest_task",
    "Charge": "settlement",
    "DataArchive": "data_archive",
    "DataQuality": "data_quality",
    "DataSync": "data_sync",
    "DatabaseMaintenance": "database_maintenance",
    "Gate": "strategy_stage",
    "PerformanceReport": "performance_report",
    "PortfolioMonitor": "portfolio_monitor",
    "Reconciliation": "reconciliation",
    "RiskManager": "risk_limits",
    "RiskScan": "risk_scan",
    "Settlement": "settlement",
    "SmtpSender": "smtp_sender",
    "StrategyDeployment": "strategy_deployment",
    "TargetWeightRebalance": "target_weight_rebalance",
    "TaskWatch": "task_watch",
    "Version": "strategy_stage",
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

    found = getattr(import_module(f"closingbell.tasks.{module}"), name)
    globals()[name] = found
    return found
