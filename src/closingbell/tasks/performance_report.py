"""PerformanceReport: what an account did since the last report: logged, written, mailed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack

from closingbell.core.error import TaskDefinitionError
from closingbell.task import TaskOptions
from closingbell.tasks.ready_task import ReadyTask
from closingbell.tasks.report_page import PositionLine, ReportPage, TradeLine

if TYPE_CHECKING:
    from closingbell.monitor.notify.smtp_sender import Sender
    from closingbell.trading.algorithm import Algorithm

ReportType = Literal["daily_summary", "weekly_summary", "monthly_summary", "report"]

#: By type of report: its title.
REPORT_TYPES: dict[ReportType, str] = {
    "daily_summary": "Daily report",
    "weekly_summary": "Weekly report",
    "monthly_summary": "Monthly report",
    "report": "Report",
}


class PerformanceReport(ReadyTask):
    """Report an account: value, gain, drawdown, positions, trades, tasks that failed.

    A report begins where the one before ended, so that every trade is in one of them; the first
    begins with its day. The text is logged and returned, and so kept with the run; with an address
    it is mailed, as text and HTML. A backtest writes and mails nothing.
    """

    def __init__(
        self,
        report_email: str | Sequence[str] | None = None,
        sender: Sender | None = None,
        *,
        folder: str | Path | None = None,
        name: str = "performance_report",
        **options: Unpack[TaskOptions],
    ) -> None:
        """Declare the task; it runs daily at 18:00 unless `options` say when.

        Args:
            report_email: one address or several; None = no mail.
            sender: what mails it, such as a `SmtpSender`.
            folder: where each report is written as a text and an HTML file; None = nowhere.
            name: unique in its app.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: there is an address and no sender, or an option cannot be read.
        """
        default: TaskOptions = {"interval": "daily", "time": "18:00", "tags": ["report"]}
        super().__init__(name, default, options)
        if report_email is not None and sender is None:
            problem = "report_email needs a sender, such as SmtpSender('mail', sender=...)"
            raise TaskDefinitionError(name, problem)
        self.addresses = [report_email] if isinstance(report_email, str) else report_email or []
        self.sender = sender
        self.folder = None if folder is None else Path(folder)

    def run(
        self, algorithm: Algorithm, report_type: ReportType = "daily_summary"
    ) -> dict[str, Any]:
        """Make the report, and log, write and mail it.

        Args:
            algorithm: of the run.
            report_type: its title.

        Returns:
            The `report` as text, its `subject`, whom it was `mailed` to, and where it ended.

        Raises:
            OSError: it could not be written or mailed; the retry sends it with the same id.
        """
        page, last_seq = self._page(algorithm, REPORT_TYPES[report_type])
        text = page.to_text()
        algorithm.log("%s", text)
        if algorithm.mode == "backtest":
            mailed: list[str] = []
        else:
            self._write(page)
            mailed = self._mail(algorithm, page)
        return {
            "report": text,
            "subject": page.subject,
            "mailed": mailed,
            "ended_at": page.ends_at.isoformat(),
            "value": str(page.closing),
            "deposits": str(page.deposits),
            "seq": last_seq,
        }

    def _page(self, algorithm: Algorithm, title: str) -> tuple[ReportPage, int]:
        """Return the report, and the last entry of the journal that it knows."""
        beginning = _beginning(algorithm, algorithm.get_last_result(self.name))
        portfolio = algorithm.get_portfolio()
        trades = [
            trade for trade in algorithm.get_trades(archived=None) if trade.id > beginning.seq
        ]
        page = ReportPage(
            title=title,
            account=portfolio.name,
            currency=portfolio.currency,
            begins_at=beginning.at,
            ends_at=algorithm.now(),
            opening=beginning.value,
            flows=portfolio.net_deposits - beginning.deposits,
            closing=portfolio.total_value,
            deposits=portfolio.net_deposits,
            initial=portfolio.initial_value,
            peak=portfolio.peak_value,
            cash=portfolio.cash,
            exposure=portfolio.exposure,
            realized=portfolio.realized_pnl,
            unrealized=portfolio.unrealized_pnl,
            positions=[
                PositionLine(
                    p.symbol, p.quantity, p.average_price, p.current_value, p.unrealized_pnl
                )
                for p in portfolio.positions
            ],
            trades=[
                TradeLine(t.created_at, t.symbol, t.side, t.quantity, t.price, t.cost, t.fee)
                for t in trades
            ],
            failures=[
                (task, status["last_error"])
                for task, status in sorted(algorithm.get_task_status().items())
                if status["last_error"]
            ],
        )
        return page, max((trade.id for trade in trades), default=beginning.seq)

    def _write(self, page: ReportPage) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = f"{page.account}_{page.ends_at:%Y%m%d_%H%M%S}"
        (self.folder / f"{stem}.txt").write_text(page.to_text(), encoding="utf-8")
        (self.folder / f"{stem}.html").write_text(page.to_html(), encoding="utf-8")

    def _mail(self, algorithm: Algorithm, page: ReportPage) -> list[str]:
        if self.sender is None or not self.addresses:
            return []
        self.sender.send(
            to=self.addresses,
            subject=page.subject,
            text=page.to_text(),
            html=page.to_html(),
            id=algorithm.context.run_id,
            at=algorithm.context.as_of,
        )
        return list(self.addresses)


class _Beginning(NamedTuple):
    """Where a report begins: when, and what was true then."""

    at: datetime
    value: Decimal | None
    deposits: Decimal
    seq: int


def _beginning(algorithm: Algorithm, before: Any) -> _Beginning:
    if before is not None:
        at = datetime.fromisoformat(before["ended_at"])
        return _Beginning(at, Decimal(before["value"]), Decimal(before["deposits"]), before["seq"])
    at = datetime.combine(algorithm.now().date(), time())
    earlier = algorithm.get_trades(before_date=at, archived=None)
    seq = max((trade.id for trade in earlier), default=0)
    points = [mark for mark in algorithm.get_equity_curve() if mark.at < at]
    if points:
        return _Beginning(at, points[-1].value, points[-1].flows, seq)
    return _Beginning(at, None, algorithm.get_portfolio().net_deposits, seq)
