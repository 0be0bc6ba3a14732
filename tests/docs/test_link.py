"""Links between pages lead somewhere, and the changelog is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT, page_name, pages

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def _links(page: Path) -> list[str]:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    return [link for link in _LINK.findall(text) if "://" not in link]


@pytest.mark.parametrize("page", pages(), ids=page_name)
def test_relative_links_of_a_page_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_pages_of_docs_can_all_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    seen: set[Path] = set()
    waiting = [index]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in _links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file():
                waiting.append(target)
    assert [page_name(page) for page in pages() if page not in seen and "docs" in page.parts] == []


def test_changelog_has_a_section_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text.splitlines()


def test_readme_keeps_a_place_for_measured_results() -> None:
    """The measured table is put between two comments, and only there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- bench:start -->") == 1
    assert text.index("<!-- bench:start -->") < text.index("<!-- bench:end -->")
