"""What backtests look like as JSON: times in ISO, amounts as decimal text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.core.clock import from_micros
from closingbell.simulation.plain import plain

if TYPE_CHECKING:
    from closingbell.core.entry import Entry
    from closingbell.simulation.comparison import Comparison
    from closingbell.simulation.firing import FiringLine
    from closingbell.simulation.metrics import Metrics
    from closingbell.simulation.report import Report


def report_shape(report: Report) -> dict[str, Any]:
    """Return a backtest without its long lists."""
    return {
        "id": report.id,
        "name": report.name,
        "start": from_micros(report.start),
        "end": from_micros(report.end),
        "seed": report.seed,
        "parameters": plain(report.parameters),
        "accounts": {
            name: {
                "currency": account.currency,
                "metrics": _metrics(account.metrics),
                "benchmark": (
                    None
                    if account.benchmark is None or account.benchmark_metrics is None
                    else {
                        "name": account.benchmark.name,
                        "metrics": _metrics(account.benchmark_metrics),
                    }
                ),
                "positions": [
                    {**plain(position), "opened_at": from_micros(position.opened_at)}
                    for position in account.positions
                ],
                "cash": plain(account.cash),
                "trades": len(account.trades),
                "notes": list(account.notes),
            }
            for name, account in report.accounts.items()
        },
        "tasks": {name: plain(count) for name, count in report.tasks.items()},
        "firings": report.firing_count,
        "alerts": report.alert_count,
        "events": dict(report.facts),
        "not_done": dict(report.not_done),
        "notes": list(report.notes),
    }


def comparison_shape(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison."""
    parting, parts_at = comparison.parting, comparison.equity_parts_at
    shape = comparison.to_dict()
    for name, pair in shape["figures"].items():
        if name.endswith("_at"):
            for side in ("left", "right"):
                pair[side] = None if pair[side] is None else from_micros(pair[side])
            pair["change"] = None
    shape["parting"] = (
        None
        if parting is None
        else {
            "at": from_micros(parting.at),
            "number": parting.number,
            "left": None if parting.left is None else trade_shape(parting.left),
            "right": None if parting.right is None else trade_shape(parting.right),
        }
    )
    shape["equity_parts_at"] = None if parts_at is None else from_micros(parts_at)
    return shape


def trade_shape(trade: Entry) -> dict[str, Any]:
    """Return a fill."""
    return {
        "at": from_micros(trade.at),
        "account": trade.account,
        "side": "buy" if trade.quantity > 0 else "sell",
        "symbol": trade.symbol,
        "quantity": plain(abs(trade.quantity)),
        "price": plain(trade.price),
        "amount": plain(abs(trade.amount)),
        "fee": plain(trade.fee),
        "currency": trade.currency,
        "task": trade.task,
        "run_id": trade.run_id,
        "order_id": trade.order_id,
    }


def firing_shape(line: FiringLine) -> dict[str, Any]:
    """Return a line of the task ledger."""
    return {**line._asdict(), "at": from_micros(line.at)}


def _metrics(metrics: Metrics) -> dict[str, Any]:
    return _instants(plain(metrics))


def _instants(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: from_micros(value) if name.endswith("_at") and value is not None else value
        for name, value in values.items()
    }
