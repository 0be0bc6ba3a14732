"""The reference pages say what the code says, and name all that it has."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from closingbell import App, triggers
from closingbell.cli.main import commands
from closingbell.core.error import ClosingbellError
from closingbell.settings import Settings
from closingbell.store.schema import metadata
from closingbell.task import OPTION_NAMES
from scripts.build_reference import PAGES, REFERENCE, walk_commands
from tests.docs.page import ROOT, page_name, pages

COMMANDS = dict(walk_commands(typer.main.get_command(commands)))
GROUPS = {words[:1] for words in COMMANDS if len(words) == 2}


def _text(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_reference_page_is_what_its_script_makes(name: str) -> None:
    """A failure means: run scripts/build_reference.py and look at what changed."""
    assert _text(name) == PAGES[name]()


def test_settings_are_all_documented_with_their_variables() -> None:
    text, variables = _text("settings.md"), _text("environment.md")
    missing = [
        field.name
        for field in fields(Settings)
        if f"| `{field.name}` |" not in text
        or f"`CLOSINGBELL_{field.name.upper()}`" not in variables
    ]
    assert missing == []


def test_task_options_are_all_documented() -> None:
    text = _text("task_options.md")
    assert [name for name in OPTION_NAMES if f"| `{name}` |" not in text] == []


def test_error_codes_are_all_documented() -> None:
    text = _text("errors.md")

    def codes(cls: type[ClosingbellError]) -> list[str]:
        return [cls.code, *(code for child in cls.__subclasses__() for code in codes(child))]

    assert [code for code in codes(ClosingbellError) if f"| `{code}` |" not in text] == []


def test_commands_are_all_documented_with_every_flag() -> None:
    text = _text("command_line.md")
    sections = dict(re.findall(r"## `closingbell ([^`]+)`\n(.*?)(?=\n## |\Z)", text, re.DOTALL))
    assert set(sections) == {" ".join(words) for words in COMMANDS}
    everywhere = {"--json", "--debug", "--help", "-h"}
    missing = [
        (words, flag)
        for words, command in COMMANDS.items()
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("-")
        and flag not in everywhere
        and f"`{flag}`" not in sections[" ".join(words)]
    ]
    assert missing == []


def test_triggers_are_all_documented_with_every_parameter() -> None:
    text = _text("triggers.md")
    missing = []
    for name in ("Every", "Daily", "Cron", "At", "Session", "Blackout"):
        call = re.search(rf"`{name}\(([^)]*)\)`", text)
        assert call is not None, name
        # At keeps what was asked for in its JSON; nobody writes it.
        wanted = set(inspect.signature(getattr(triggers, name)).parameters) - {"requested"}
        missing += [(name, word) for word in wanted if word not in call[1]]
    assert missing == []


def test_tables_of_the_store_are_all_documented_with_every_column() -> None:
    text = _text("store.md")
    sections = dict(re.findall(r"## `(\w+)`\n(.*?)(?=\n## |\Z)", text, re.DOTALL))
    missing = [
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if f"| `{column.name}` |" not in sections.get(table.name, "")
    ]
    assert missing == []


def test_methods_of_the_app_that_pages_mention_exist() -> None:
    mentioned = {
        (page_name(page), name)
        for page in pages()
        for name in re.findall(r"\bapp\.([a-z_]+)", page.read_text(encoding="utf-8"))
    }
    # `app.py` is a file; a registry is an attribute of the object, not of its class.
    known = {"py", "registry", "settings", "clock"}
    unknown = {(p, n) for p, n in mentioned if n not in known and not hasattr(App, n)}
    assert unknown == set()


@pytest.mark.parametrize("page", pages(), ids=page_name)
def test_commands_that_a_page_mentions_exist(page: Path) -> None:
    unknown = []
    text = re.sub(r"\s*\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in re.findall(r"(?:[`(]|\$ )closingbell ([a-z][^`$]*)", text):
        words = tuple(
            re.findall(r"^[a-z]+(?:-[a-z]+)*|(?<= )[a-z]+(?:-[a-z]+)*\b(?![.:=/-])", line)
        )
        two, one = words[:2], words[:1]
        if two in COMMANDS or one in COMMANDS:
            chosen = COMMANDS[two if two in COMMANDS else one]
            command = line.split("$ closingbell")[0]
            flags = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", command.split("|")[0]))
            known = {flag for parameter in chosen.params for flag in parameter.opts}
            unknown += [(one, flag) for flag in sorted(flags - known)]
        elif line.strip() not in {group[0] for group in GROUPS}:
            unknown.append((words, ""))
    assert unknown == []


def test_variables_that_pages_mention_are_read_by_the_code() -> None:
    known = {f"CLOSINGBELL_{field.name.upper()}" for field in fields(Settings)} | {
        "CLOSINGBELL_APP",
        "CLOSINGBELL_URL",
    }
    mentioned = {
        (page_name(page), name)
        for page in pages()
        for name in re.findall(r"CLOSINGBELL_[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))
    }
    assert {(page, name) for page, name in mentioned if name not in known} == set()


def test_paths_of_this_repository_that_pages_mention_exist() -> None:
    pattern = r"`((?:src|tests|scripts|docs|bench|requirements|examples)/[\w./-]*\w)/?`"
    mentioned = {
        (page_name(page), path)
        for page in pages()
        for path in re.findall(pattern, page.read_text(encoding="utf-8"))
    }
    assert {(page, path) for page, path in mentioned if not (ROOT / path).exists()} == set()
