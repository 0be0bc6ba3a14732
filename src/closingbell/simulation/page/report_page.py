"""The page of a report: a pure function from the report to text."""

from __future__ import annotations

from collections.abc import Mapping

from closingbell.simulation.figure_text import window_text
from closingbell.simulation.page import account_section, task_section
from closingbell.simulation.page.document import document
from closingbell.simulation.page.figure_card import conventions
from closingbell.simulation.page.markup import Content, Markup, joined, tag
from closingbell.simulation.page.table import definitions
from closingbell.simulation.report import Report

#: Where parameters tell what the data were.
_DATA = "data"


def report_page(report: Report) -> str:
    """Return a report as one HTML page that needs no server and no network."""
    main = report.account()
    others = [account for account in report.accounts.values() if account is not main]
    parts: list[tuple[str, Content]] = [
        ("Overview", account_section.overview(main)),
        ("Figures", account_section.figures(main)),
        ("Trades", account_section.trading(main)),
    ]
    parts += [
        (
            f"Account {account.name}",
            joined(
                account_section.overview(account),
                account_section.figures(account),
                account_section.trading(account),
            ),
        )
        for account in others
    ]
    parts += [
        ("Tasks", task_section.tasks(report)),
        ("Task ledger", task_section.ledger(report)),
        ("Alerts", task_section.alerts(report)),
        ("Failures", task_section.failures(report)),
        ("Inputs", _inputs(report)),
        ("Conventions", conventions()),
    ]
    return document(report.name, _lead(report), parts)


def _lead(report: Report) -> Markup:
    main = report.account()
    zone = report.timezone
    facts = {
        "window": f"{window_text(report.start, report.end, zone)} ({zone})",
        "account": f"{main.name}, {main.currency}",
        "seed": str(report.seed),
        "id": report.id,
    }
    chips = [tag("li", tag("span", name), " ", value) for name, value in facts.items()]
    notes = [tag("li", note) for note in report.notes]
    return joined(
        tag("ul", chips, class_="chips"),
        tag("ul", notes, class_="notes") if notes else None,
    )


def _inputs(report: Report) -> Markup:
    plain = {name: value for name, value in report.parameters.items() if name != _DATA}
    data = report.parameters.get(_DATA)
    cards = [
        _card("Parameters", {"seed": report.seed, "timezone": report.timezone, **plain}),
        _card("Data", data if isinstance(data, Mapping) else {"source": data}) if data else None,
        *(_card(f"Account {name}", account.terms) for name, account in report.accounts.items()),
    ]
    return tag("div", cards, class_="cards")


def _card(title: str, values: Mapping[str, object]) -> Markup:
    return tag("section", tag("h3", title), definitions(values), class_="card")
