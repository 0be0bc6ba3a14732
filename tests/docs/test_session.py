"""The reader of the pages notices what a person would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import Block, blocks_of
from tests.docs.session import Reader, shown_as


def _python(text: str) -> Block:
    return Block("python", text, 1, {})


def _console(text: str, **marks: str) -> Block:
    return Block("console", text, 1, {"run": "", **marks})


def test_python_blocks_of_a_page_share_their_names(tmp_path: Path) -> None:
    with Reader(tmp_path, "page.md") as reader:
        reader.run(_python("a = 20\n"))
        assert reader.run(_python("print(a + 1)\n")) == "21\n"


def test_python_block_that_raises_is_reported_with_its_line(tmp_path: Path) -> None:
    with (
        Reader(tmp_path, "page.md") as reader,
        pytest.raises(AssertionError, match=r'"page.md", line 7[\s\S]*ZeroDivisionError'),
    ):
        reader.run(Block("python", "\n1 / 0\n", 6, {}))


def test_console_block_with_an_unforeseen_exit_code_is_reported(tmp_path: Path) -> None:
    with (
        Reader(tmp_path, "page.md") as reader,
        pytest.raises(AssertionError, match="ended with 3, not 0"),
    ):
        reader.run(_console("$ exit 3\n"))


def test_console_block_that_says_its_exit_code_is_accepted(tmp_path: Path) -> None:
    with Reader(tmp_path, "page.md") as reader:
        assert reader.run(_console("$ echo no; exit 3\n", exit="3")) == "no\n"


def test_shown_output_that_differs_is_reported() -> None:
    assert shown_as("run 17 ended in 3.2 s\n", "run ... ended in ... s\n") == ""
    assert "Expected" in shown_as("run 17 ended in 3.2 s\n", "run ... failed\n")


def test_marks_before_a_fence_belong_to_that_fence_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- file: a.py -->\n```python\na = 1\n```\n\n```python\nb = 2\n```\n")
    first, second = blocks_of(page)
    assert (first.marks, second.marks) == ({"file": "a.py"}, {})
    assert (first.line, second.line) == (3, 7)
