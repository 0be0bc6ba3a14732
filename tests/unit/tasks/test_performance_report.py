"""PerformanceReport: every trade is in one report, a retry sends the same message, a backtest none."""

from __future__ import annotations

import smtplib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.error import TaskDefinitionError
from closingbell.monitor.notify.smtp_sender import SmtpSender
from closingbell.tasks.performance_report import PerformanceReport
from closingbell.trading.broker.simulated import SimulatedBroker
from tests.unit.tasks.desk_rig import DeskRig
from tests.unit.tasks.mail_server import MailServer

D = Decimal


def lines(report: str) -> dict[str, str]:
    pairs = [line.split("  ", 1) for line in report.splitlines() if "  " in line.strip()]
    return {name.strip(): figure.strip() for name, figure in pairs}


def test_reports_follow_one_another_without_gap_or_overlap() -> None:
    rig, task = DeskRig(), PerformanceReport()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    first = lines(rig.run(task)["report"])
    rig.price(AAPL=120)
    rig.desk.deposit("main", 1_000)
    rig.buy("AAPL", -10)
    second = lines(rig.run(task)["report"])
    third = lines(rig.run(task, report_type="weekly_summary")["report"])

    assert [one["Trades"] for one in (first, second, third)] == ["1", "1", "0"]
    assert first["Gain"] == "not known"
    assert second["Gain"] == "+1,000.00 USD (+10.00%)"
    assert second["Deposits less withdrawals"] == "+1,000.00 USD"
    assert third["Gain"] == "+0.00 USD (+0.00%)"


def test_first_report_begins_with_its_day_and_the_last_close_before() -> None:
    rig, task = DeskRig(), PerformanceReport()
    rig.price(AAPL=100)
    rig.buy("AAPL", 50)
    rig.desk.snapshot(rig.clock.micros())
    rig.days(1)
    rig.price(AAPL=110)
    rig.buy("AAPL", 1)
    found = lines(rig.run(task)["report"])

    assert found["From"] == "2026-03-03 00:00"
    assert (found["Trades"], found["Gain"]) == ("1", "+500.00 USD (+5.00%)")


def test_report_names_the_tasks_that_failed() -> None:
    rig = DeskRig()
    rig.status = {
        "sync": {"last_error": "ConnectionError: down"},
        "fine": {"last_error": None},
    }
    report = rig.run(PerformanceReport())["report"]

    assert "  sync  ConnectionError: down" in report.splitlines()
    assert "fine" not in report


def test_report_is_written_as_text_and_page(tmp_path: Path) -> None:
    rig = DeskRig()
    done = rig.run(PerformanceReport(folder=tmp_path / "reports"))
    text, page = sorted((tmp_path / "reports").iterdir(), reverse=True)

    assert (text.name, page.name) == ("main_20260302_210000.txt", "main_20260302_210000.html")
    assert text.read_text() == done["report"]
    assert "<h1>Daily report 2026-03-02</h1>" in page.read_text()


def mailing(server: MailServer) -> PerformanceReport:
    sender = SmtpSender("127.0.0.1", server.port, sender="desk@example.com", protection="none")
    return PerformanceReport("quant@example.com", sender)


def test_report_is_mailed_with_its_runs_id() -> None:
    rig = DeskRig()
    with MailServer() as server:
        done = rig.run(mailing(server))
    [(to, message)] = server.messages

    assert done["mailed"] == to == ["quant@example.com"]
    assert message["Subject"] == done["subject"] == "Daily report 2026-03-02: 10,000.00 USD"
    assert message["Message-ID"] == f"<{1:032x}@example.com>"
    assert message["Date"] == "Mon, 02 Mar 2026 21:00:00 +0000"


def test_mail_that_is_refused_fails_the_run_and_the_next_report_begins_where_it_did() -> None:
    rig = DeskRig()
    with MailServer() as server:
        task = mailing(server)
        task.addresses = ["nobody@example.com"]
        rig.price(AAPL=100)
        rig.buy("AAPL", 1)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            rig.run(task)
        task.addresses = ["quant@example.com"]
        found = lines(rig.run(task)["report"])

    assert found["Trades"] == "1"


class Recorded:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, **message: Any) -> None:
        self.sent.append(message)


def test_backtest_writes_and_mails_nothing(tmp_path: Path) -> None:
    rig, sender = DeskRig(), Recorded()
    rig.desk.account("main").broker = SimulatedBroker()
    done = rig.run(PerformanceReport(["a@b"], sender, folder=tmp_path / "reports"))

    assert (done["mailed"], sender.sent) == ([], [])
    assert not (tmp_path / "reports").exists()


def test_address_without_a_sender_is_refused_at_once() -> None:
    with pytest.raises(TaskDefinitionError, match="report_email needs a sender"):
        PerformanceReport("quant@example.com")
