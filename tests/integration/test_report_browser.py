"""The pages of reports in a real browser: wide and narrow, light and dark, with and without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell.simulation.benchmark import buy_and_hold
from closingbell.simulation.report import report_of
from tests.integration.browser import CHROMIUM, Browser
from tests.unit.simulation.example import shipped_bars, trend_result

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium in the PATH")

#: Contrast of every text with what lies behind it, by the formula of WCAG 2.
CONTRASTS = """
(() => {
  const numbers = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const rgb = (text) => {
    const n = numbers(text);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [n[0] * scale, n[1] * scale, n[2] * scale, n.length > 3 ? n[3] : 1];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const light = (c) => {
    const part = c.slice(0, 3).map((v) => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style")) continue;
    const a = light(rgb(getComputedStyle(element).color));
    const b = light(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([walker.currentNode.data.trim(), element.className, ratio]);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    result = trend_result()
    account = result.accounts["main"]
    at = [point.at for point in account.snapshots]
    curve = buy_and_hold(shipped_bars(), ["IBM", "MSFT"], "1d", at, account.terms.cash)
    report = report_of(result, name="Trend following, IBM and MSFT", benchmarks={"main": curve})
    other = report_of(trend_result(days=50), name="Trend following, faster")
    return {
        "report": report.to_html(folder / "report.html"),
        "comparison": report.compare(other).to_html(folder / "comparison.html"),
    }


def complaints(browser: Browser) -> list[Any]:
    """What went wrong while the page was shown."""
    browser.ask("0")
    kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    return [event for event in browser.events if event.get("method") in kinds]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_page_fits_its_window_and_can_be_read(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    browser.open(pages[name], width=width, dark=dark)
    assert browser.ask("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    assert browser.ask(CONTRASTS) == []
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 384) == dark
    boxes = browser.ask(
        "[...document.querySelectorAll('.card, .tile, .chart, .panel')]"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.slice(0, 60))"
    )
    assert boxes == [], "wide tables scroll inside a box of their own"
    assert complaints(browser) == []


def test_page_asks_for_nothing_but_itself(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=1440)
    browser.ask("0")
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert asked == [pages["report"].as_uri()]


def test_pointer_reads_the_curves(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=1440)
    box = browser.ask(
        "(() => { const b = document.querySelector('.plot svg').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    left, top, width, height = box
    assert browser.ask("document.querySelector('.readout').hidden") is True
    browser.point_at(left + width - 1, top + height / 2)
    assert browser.ask("document.querySelector('.readout').innerText").split("\n") == [
        "2012-12-31",
        "main 127,299.08",
        "buy and hold IBM, MSFT 176,986.71",
    ]
    browser.point_at(left + 0.2, top + height / 2)
    assert browser.ask("document.querySelector('.readout b').innerText") == "2003-03-03"
    place = browser.ask("document.querySelector('.readout').getBoundingClientRect().left")
    assert place >= left - 1, "it stays inside the chart"
    browser.point_at(5, 5)
    assert browser.ask("document.querySelector('.readout').hidden") is True


def test_arrow_keys_read_the_curves(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"], width=1440)
    browser.ask("document.querySelector('.plot').focus()")
    days = []
    for key in ("Home", "ArrowRight", "End", "PageUp"):
        browser.press(key)
        days.append(browser.ask("document.querySelector('.readout b').innerText"))
    assert days[0] == "2003-03-03"
    assert days[2] == "2012-12-31"
    assert days[0] < days[1] < days[3] < days[2]
    browser.press("Escape")
    assert browser.ask("document.querySelector('.readout').hidden") is True


@pytest.mark.parametrize("width", [390, 1440])
def test_convention_shows_where_a_figure_is_pointed_at(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["report"], width=width)
    boxes = browser.ask(
        "[...document.querySelectorAll('.named')].map((e) => { e.focus();"
        " const l = e.getBoundingClientRect(), t = e.querySelector('.tip').getBoundingClientRect();"
        " return [t.left, t.right, t.height, t.top - l.bottom]; })"
    )
    assert len(boxes) > 45
    for left, right, height, below in boxes:
        assert height > 20, "it is shown"
        assert 0 <= left < right <= width, "inside the window"
        assert 0 <= below < 30, "right below its figure"


def test_page_stands_without_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages["report"], width=1440)
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        found = browser.call("DOM.querySelectorAll", nodeId=root, selector="path.line")
        assert len(found["nodeIds"]) >= 6
        line = browser.call("DOM.getBoxModel", nodeId=found["nodeIds"][1])["model"]
        assert line["width"] > 800
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_script_that_is_smuggled_in_does_not_run(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    text = pages["report"].read_text("utf-8")
    smuggled = tmp_path / "smuggled.html"
    smuggled.write_text(
        text.replace("<footer>", "<script>document.title = 'owned'</script><footer>"), "utf-8"
    )
    browser.open(smuggled, width=1440)
    assert browser.ask("document.title") == "Trend following, IBM and MSFT - closingbell"
