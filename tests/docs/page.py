"""A page of the documents: its code blocks, and what the comments before them ask for.

A comment in front of a fence says how the block is treated:

    <!-- file: desk.py -->             the block is written into that file, and not run
    <!-- run -->                       the `$ ` lines of a console block are run
    <!-- run until: TEXT -->           its last command runs until TEXT shows, then gets Ctrl-C
    <!-- exit: 2 -->                   with run: its last command ends with that code
    <!-- output -->                    a text block: what the block before it printed; `...` is anything
    <!-- not run: WHY -->              a Python block that cannot run here, with the reason

Every Python block without a comment is run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"```(\w*)\s*")
_MARK = re.compile(r"<!--\s*(file|run until|run|exit|output|not run)(?::\s*(.*?))?\s*-->")


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        language: the word after the fence.
        text: its lines.
        line: the number of its first line in the page.
        marks: what the comments before it ask for.
    """

    language: str
    text: str
    line: int
    marks: dict[str, str]


def pages() -> list[Path]:
    """Return every page that people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_name(page: Path) -> str:
    """Return a page's path from the repository's root."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Return a page's fenced blocks in order.

    Raises:
        ValueError: a fence is not closed.
    """
    found: list[Block] = []
    marks: dict[str, str] = {}
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        fence = _FENCE.fullmatch(line)
        if fence is not None:
            body: list[str] = []
            for _, inner in lines:
                if inner.rstrip() == "```":
                    break
                body.append(inner)
            else:
                raise ValueError(f"{page_name(page)}:{number}: the fence is not closed")
            found.append(Block(fence[1], "\n".join(body) + "\n", number + 1, marks))
            marks = {}
        elif mark := _MARK.fullmatch(line.strip()):
            marks[mark[1]] = mark[2] or ""
        elif line.strip():
            marks = {}
    return found
