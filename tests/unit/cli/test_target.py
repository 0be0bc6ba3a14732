"""From what a person types to an app."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from closingbell.cli.target import load_app, looks_like_target, require_target, split_target
from closingbell.core.error import TargetError


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("desk:app", True),
        ("desks.fx:app", True),
        ("desk.py", True),
        ("desks/desk.py:app", True),
        ("desk", False),
        ("valuation", False),
        ("{}", False),
        ("at=12:30", False),
    ],
)
def test_word_that_can_only_be_a_target_is_told_from_others(word: str, expected: bool) -> None:
    assert looks_like_target(word) is expected


@pytest.mark.parametrize(
    ("words", "app", "expected"),
    [
        (["desk", "valuation"], None, ("desk", ["valuation"])),
        (["valuation", "x=1"], "desk:app", ("desk:app", ["valuation", "x=1"])),
        (["other:app", "valuation"], "desk:app", ("other:app", ["valuation"])),
    ],
)
def test_first_word_is_the_target_unless_another_was_given(
    words: list[str], app: str | None, expected: tuple[str, list[str]]
) -> None:
    assert split_target(words, app) == expected


def test_target_that_nobody_gave_is_asked_for() -> None:
    with pytest.raises(TargetError, match="CLOSINGBELL_APP"):
        split_target([], None)


def test_argument_leads_over_the_option() -> None:
    assert require_target("desk", "other:app") == "desk"
    assert require_target(None, "other:app") == "other:app"


@pytest.mark.parametrize("target", ["desk", "desk:app", "desk.py", "desk.py:app"])
def test_app_is_found_by_module_and_by_file(desk: Path, target: str) -> None:
    assert load_app(target).settings.database == "sqlite:///desk.db"


def test_app_in_another_folder_is_found_by_file(
    desk: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "valuation" in load_app(str(desk / "desk.py")).registry


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere:app", "no module 'nowhere'"),
        ("nowhere.py", "no file 'nowhere.py'"),
        ("desk:ap", "it holds the apps app"),
        ("desk:other", "is a int, not an app"),
        (":app", "names no module"),
    ],
)
def test_target_that_leads_nowhere_is_refused_with_a_hint(
    desk: Path, target: str, said: str
) -> None:
    with pytest.raises(TargetError, match=said):
        load_app(target)


def test_module_that_fails_to_import_is_refused_with_its_own_error(desk: Path) -> None:
    (desk / "broken_desk.py").write_text("import numpyy\n")
    with pytest.raises(TargetError, match=r"ModuleNotFoundError: No module named 'numpyy'"):
        load_app("broken_desk")
    assert "broken_desk" not in sys.modules


def test_file_that_starts_its_app_at_its_end_is_only_imported(desk: Path) -> None:
    with (desk / "desk.py").open("a") as file:
        file.write("app.start()\n")
    app = load_app("desk")
    assert not app.is_running
    assert not (desk / "desk.db").exists()
    with app.running(worker=False):
        assert app.is_running
