"""The page of a report: whole, escaped, and asking nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.book import Book
from closingbell.core.clock import to_micros
from closingbell.simulation.figure import FIGURES
from closingbell.simulation.figure_text import figure_text, percent, seconds_text, two_decimals
from closingbell.simulation.firing import FiringSpool
from closingbell.simulation.page.chart import Curve, thinned, time_chart
from closingbell.simulation.page.histogram import bins_of
from closingbell.simulation.page.markup import Markup, data_script, tag
from closingbell.simulation.page.report_page import report_page
from closingbell.simulation.page.scale import ratio_steps, round_steps, short_number, time_ticks
from closingbell.simulation.page.table import SHOWN_ROWS
from closingbell.simulation.report import Report, report_of
from closingbell.simulation.result import (
    AccountResult,
    RunOutput,
    SimulatedAlert,
    SimulationResult,
    TaskCount,
)
from closingbell.trading.terms import AccountTerms
from tests.unit.simulation.example import TRADER, trend_result

HOSTILE = "<script>alert(1)</script>\"'&</td><img src=x onerror=alert(1)>"
_VOID = {"meta", "link", "br", "col"}


class Outline(HTMLParser):
    """What a page is made of, and whether its elements close."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(trend_result(), name="trend")


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return report_page(report)


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


# --- the whole page ------------------------------------------------------------------------


def test_page_is_well_formed_and_the_same_each_time(page: str, outline: Outline) -> None:
    assert page.startswith("<!doctype html>\n<html lang=")
    assert outline.open == []
    assert report_page(report_of(trend_result(), name="trend")) == page


def test_page_has_every_part(outline: Outline) -> None:
    anchors = {attributes.get("id") for attributes in outline.named("section")}
    for part in (
        "overview", "figures", "trades", "tasks", "task-ledger", "alerts", "failures", "inputs",
        "conventions",
    ):  # fmt: skip
        assert part in anchors
        assert {"href": f"#{part}"} in outline.named("a")


def test_every_metric_is_shown_with_its_convention(report: Report, outline: Outline) -> None:
    for figure in FIGURES:
        assert figure.convention in outline.words, figure.name
    for name in ("total_return", "sharpe", "max_drawdown_peak_at", "fees"):
        figure = next(each for each in FIGURES if each.name == name)
        value = getattr(report.metrics, name)
        assert figure_text(figure, value, "America/New_York") in outline.words


def test_page_asks_nobody_for_anything(page: str, outline: Outline) -> None:
    for _, attributes in outline.elements:
        assert not {"src", "srcset", "action", "data", "poster"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page
    assert "//" not in page.replace("// The readout", ""), "no address of any kind"


def test_only_the_pages_own_script_may_run(page: str, outline: Outline) -> None:
    policy = next(
        attributes["content"]
        for attributes in outline.named("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    script = page.rsplit("<script>", 1)[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert [a for a in outline.named("script") if a.get("type") != "application/json"] == [{}]


def test_charts_and_tables_say_what_they_are(outline: Outline) -> None:
    plots = [a for _, a in outline.elements if (a.get("class") or "").startswith("plot")]
    assert len(plots) == 6
    for attributes in plots:
        assert attributes["role"] == "img"
        assert attributes["aria-label"]
    assert len(outline.named("table")) > 10
    regions = [a for _, a in outline.elements if a.get("role") == "region"]
    assert all(a["aria-label"] and a["tabindex"] == "0" for a in regions)
    heads = outline.named("th")
    assert all(a.get("scope") in ("col", "row") for a in heads)


def test_readout_has_the_points_that_are_drawn(report: Report, page: str) -> None:
    data = json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])
    assert data["unit"] == "money"
    assert (data["days"][0], data["days"][-1]) == ("2003-03-03", "2012-12-31")
    assert (data["left"][0], data["left"][-1]) == (0, 100)
    values = [point.value for point in report.equity]
    drawn = data["curves"][0]["values"]
    assert max(drawn) == pytest.approx(float(max(values)), rel=1e-6), "peaks survive the thinning"
    assert min(drawn) == pytest.approx(float(min(values)), rel=1e-6)


# --- what users name ------------------------------------------------------------------------


def hostile_result() -> SimulationResult:
    result = trend_result(end="2005-03-03T00:00:00-05:00")
    account = result.accounts["main"]
    entries = [
        entry._replace(symbol=HOSTILE, task=HOSTILE) if entry.symbol else entry
        for entry in account.entries
    ]
    book = Book()
    trips = [
        trip._replace(symbol=HOSTILE, task=HOSTILE)
        for trip in map(book.apply, entries)
        if trip is not None
    ]
    spool = FiringSpool(1)
    spool.add((result.start, HOSTILE, HOSTILE, 1, "failed", HOSTILE, 1, 0))
    terms = replace(account.terms, name=HOSTILE, options=(("fee", HOSTILE),))
    hostile = AccountResult(
        terms=terms,
        entries=entries,
        snapshots=account.snapshots,
        round_trips=trips,
        prices={HOSTILE: Decimal(1)},
    )
    count = TaskCount(runs=1, failed=1, reasons={HOSTILE: 1}, last_error=f"ValueError: {HOSTILE}")
    error = {"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}
    return replace(
        result,
        parameters={HOSTILE: HOSTILE, "data": {HOSTILE: [HOSTILE]}},
        accounts={HOSTILE: hostile},
        tasks={HOSTILE: count},
        firings=spool,
        alerts=[SimulatedAlert(0, HOSTILE, HOSTILE, HOSTILE, HOSTILE, None, {})],
        alert_count=1,
        failures=[RunOutput(0, HOSTILE, "id", 1, "failed", error, [("stdout", HOSTILE)])],
        facts={HOSTILE: 1},
        not_done={HOSTILE: 1},
        notes=[HOSTILE],
    )


def test_hostile_names_stay_text() -> None:
    page = report_page(report_of(hostile_result(), name=HOSTILE))
    found = Outline(page)
    assert found.open == []
    assert found.named("img") == []
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    scripts = [a.get("type") for a in found.named("script")]
    assert scripts.count(None) == 1, "only the page's own"
    assert found.words.count("<script>alert(1)</script>") > 15
    assert "<script>alert" not in page
    assert "<img" not in page


def test_hostile_names_in_a_comparison_stay_text(report: Report) -> None:
    from closingbell.simulation.page.comparison_page import comparison_page

    page = comparison_page(report_of(hostile_result(), name=HOSTILE).compare(report))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert Outline(page).open == []


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("td", "a<b", Markup("<b>c</b>"), None, class_='"x"') == (
        '<td class="&quot;x&quot;">a&lt;b<b>c</b></td>'
    )
    assert tag("p", hidden=True, title=None, draggable=False) == "<p hidden></p>"
    assert "</script><" not in data_script({"a": "</script><b>\u2028"})[1:-9]


# --- small and large -------------------------------------------------------------------------


def test_backtest_without_points_has_a_page() -> None:
    result = SimulationResult(
        start=0, end=1, seed=0, timezone="UTC", parameters={},
        accounts={"main": AccountResult(terms=AccountTerms())}, tasks={}, firings=FiringSpool(0),
    )  # fmt: skip
    found = Outline(report_page(report_of(result)))
    assert found.open == []
    for said in (
        "Too few points to draw.", "Nothing was traded.", "Nothing fired.", "No alert was raised.",
        "No attempt failed.", "No task took part.", "Nothing is held.",
    ):  # fmt: skip
        assert said in found.words


def test_flat_account_has_a_page() -> None:
    result = trend_result(days=10_000)
    found = Outline(report_page(report_of(result)))
    assert "Nothing was traded." in found.words
    assert "It never fell below its peak." in found.words


def test_ruined_account_has_a_page() -> None:
    result = trend_result()
    account = result.accounts["main"]
    points = [
        point._replace(value=Decimal(0 if n > 50 else 100_000 - n), exposure=Decimal(n))
        for n, point in enumerate(account.snapshots)
    ]
    ruined = replace(account, snapshots=points)
    found = Outline(report_page(report_of(replace(result, accounts={"main": ruined}))))
    assert "Emptied" in found.words
    assert "-100.00%" in found.words


def test_several_accounts_each_have_their_part() -> None:
    result = trend_result(end="2004-03-03T00:00:00-05:00")
    account = result.accounts["main"]
    hedge = replace(account, terms=replace(account.terms, name="hedge"))
    found = Outline(
        report_page(report_of(replace(result, accounts={"main": account, "hedge": hedge})))
    )
    assert {"href": "#account-hedge"} in found.named("a")
    ids = [a["id"] for _, a in found.elements if a.get("id")]
    assert len(ids) == len(set(ids))


def test_long_tables_show_both_ends_and_say_so(report: Report, outline: Outline) -> None:
    left_out = report.firing_count - 2 * SHOWN_ROWS
    assert f"The first 200 and the last 200 of 4,955 lines; {left_out:,} between" in outline.words
    result = trend_result()
    account = result.accounts["main"]
    fill = account.entries[1]
    many = [account.entries[0], *(fill._replace(seq=n, quantity=Decimal(n)) for n in range(2, 603))]
    longer = report_of(replace(result, accounts={"main": replace(account, entries=many)}))
    found = Outline(report_page(longer))
    assert "The first 200 and the last 200 of 601 trades; 201 between them are left out." in (
        found.words
    )


def test_ledger_of_many_blocks_shows_its_first_and_last_lines() -> None:
    spool = FiringSpool(3)
    for n in range(10_000):
        spool.add((n * 60_000_000, TRADER, None, n, "success", f"line {n}", 1, 0))
    found = Outline(report_page(report_of(replace(trend_result(), firings=spool))))
    shown = [int(n) for n in re.findall(r"\bline (\d+)\b", found.words)]
    assert shown == [*range(200), *range(9_800, 10_000)]


def test_page_is_written_as_utf8(report: Report, tmp_path: Path) -> None:
    named = report_of(trend_result(end="2004-03-03T00:00:00-05:00"), name="Zürich µ")
    path = named.to_html(tmp_path / "report.html")
    assert "Zürich µ" in path.read_text("utf-8")


# --- axes -------------------------------------------------------------------------------------


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(2, 9))
def test_steps_are_round_and_inside(low: float, size: float, count: int) -> None:
    high = low + size
    steps = round_steps(low, high, count)
    assert len(steps) <= count + 2
    slack = max(abs(low), abs(high)) * 1e-9 + size * 1e-6
    assert all(low - slack <= step <= high + slack for step in steps)
    assert steps == sorted(steps)


@given(st.floats(1e-6, 1e9), st.floats(1.5, 1e6))
def test_logarithmic_steps_are_inside_and_ordered(low: float, ratio: float) -> None:
    steps = ratio_steps(low, low * ratio)
    assert steps == sorted(set(steps))
    assert all(low * (1 - 1e-9) <= step <= low * ratio * (1 + 1e-9) for step in steps)
    assert len(steps) >= 2


def test_steep_curve_has_a_logarithmic_axis() -> None:
    def chart(*values: float) -> str:
        curve = Curve("a", "main", values)
        days = [n * 86_400_000_000 for n in range(len(values))]
        return time_chart(
            "T", "d", days, [curve], timezone="UTC", label=short_number, unit="money", steep=True
        )

    assert "Logarithmic." in chart(100, 1000, 10_000)
    middle = re.findall(r'style="top:([\d.]+)%">1k<', chart(100, 1000, 10_000))
    assert float(middle[0]) == pytest.approx(50, abs=0.1)
    assert "Logarithmic." not in chart(100, 200)
    assert "Logarithmic." not in chart(-1, 200)


@given(st.integers(0, 2_000_000_000), st.integers(60, 3_000_000_000))
def test_days_on_the_axis_are_few_ordered_and_inside(start: int, length: int) -> None:
    first, last = start * 1_000_000, min(start + length, 4_000_000_000) * 1_000_000
    ticks = time_ticks(first, max(last, first + 60_000_000), "America/New_York")
    places = [tick.at for tick in ticks]
    assert places == sorted(set(places))
    assert len(ticks) <= 12
    assert all(first <= place <= max(last, first + 60_000_000) for place in places)


def test_years_months_and_hours_are_named() -> None:
    def labels(start: datetime, end: datetime) -> list[str]:
        return [tick.label for tick in time_ticks(to_micros(start), to_micros(end), "UTC")]

    january = datetime(2020, 1, 1, tzinfo=UTC)
    assert labels(january, datetime(2024, 12, 31, tzinfo=UTC))[:2] == ["2020", "2021"]
    assert labels(january, datetime(2020, 12, 31, tzinfo=UTC))[:2] == ["2020", "Mar 2020"]
    assert labels(january, datetime(2020, 1, 5, tzinfo=UTC))[:2] == ["1 Jan", "2 Jan"]
    assert labels(january, datetime(2020, 1, 1, 8, tzinfo=UTC))[:2] == ["00:00", "01:00"]


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=300))
def test_bins_hold_every_return(values: list[float]) -> None:
    bins = bins_of(values)
    assert sum(each.size for each in bins) == len(values)
    assert all(each.low < each.high for each in bins)
    if len(bins) > 1:
        assert any(math.isclose(each.low, 0.0, abs_tol=1e-12) for each in bins)


def test_thinning_keeps_ends_peaks_and_troughs() -> None:
    values: list[float | None] = [math.sin(n / 50) for n in range(10_000)]
    values[5_005], values[7_007] = 9.0, -9.0
    kept = thinned(range(10_000), [Curve("a", "main", values)], 400)
    assert len(kept) <= 400
    assert {0, 5_005, 7_007, 9_999} <= set(kept)


def test_numbers_are_short_on_axes_and_never_minus_zero() -> None:
    assert [short_number(n) for n in (950, 12_500, 1_200_000, -3e9)] == [
        "950",
        "12.5k",
        "1.2M",
        "-3B",
    ]
    assert [percent(-0.00001), percent(-0.5), two_decimals(-0.001)] == ["0.00%", "-50.00%", "0.00"]
    assert [seconds_text(n) for n in (0, 1.5, 90, 5_400, 172_800)] == [
        "0 s", "1.5 s", "1.5 min", "1.5 h", "2 d",
    ]  # fmt: skip
