"""Every example in the documents runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import Block, blocks_of, page_name, pages
from tests.docs.session import Reader, shown_as


def _is_followed(block: Block) -> bool:
    if "not run" in block.marks:
        return False
    if block.language == "python" or "file" in block.marks:
        return True
    return bool({"run", "run until", "output"} & set(block.marks))


PAGES = [page for page in pages() if any(map(_is_followed, blocks_of(page)))]


# A page of a dozen commands is slow on a machine that does other things, too.
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_page_followed_from_top_to_bottom_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """Each page is followed in a new folder, its blocks in order, in one Python session."""
    printed = ""
    with Reader(tmp_path, page_name(page)) as reader:
        for block in filter(_is_followed, blocks_of(page)):
            where = f"{page_name(page)}:{block.line}"
            if "output" in block.marks:
                difference = shown_as(printed, block.text)
                assert not difference, f"{where}: {difference}"
                continue
            try:
                printed = reader.run(block)
            except AssertionError as problem:
                pytest.fail(f"{where}: {problem}", pytrace=False)


def test_blocks_that_are_not_run_say_why() -> None:
    """A Python block is only left out with a reason."""
    silent = [
        f"{page_name(page)}:{block.line}"
        for page in pages()
        for block in blocks_of(page)
        if block.marks.get("not run") == ""
    ]
    assert silent == []
