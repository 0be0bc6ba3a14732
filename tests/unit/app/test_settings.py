"""Settings: an argument leads over the environment, which leads over the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from closingbell.core.error import SettingError
from closingbell.settings import Settings, load_settings


def test_argument_leads_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "closingbell.toml"
    file.write_text('timezone = "Asia/Tokyo"\nthread_slots = 3\ngrace_s = 1\n')
    environ = {"CLOSINGBELL_THREAD_SLOTS": "4", "CLOSINGBELL_GRACE_S": "2.5", "PATH": "x"}
    settings = load_settings({"grace_s": 7, "timezone": None}, environ, file)

    assert (settings.timezone, settings.thread_slots, settings.grace_s) == ("Asia/Tokyo", 4, 7.0)


def test_nothing_given_is_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_settings({}, {}) == Settings()


@pytest.mark.parametrize(
    ("word", "truth"), [("1", True), ("Yes", True), ("off", False), ("0", False)]
)
def test_truth_is_read_from_words(tmp_path: Path, word: str, truth: bool) -> None:
    assert load_settings({}, {"CLOSINGBELL_GUARDIAN": word}).guardian is truth


@pytest.mark.parametrize(
    ("environ", "toml", "says"),
    [
        ({"CLOSINGBELL_GUARDIAN": "perhaps"}, "", "bool"),
        ({"CLOSINGBELL_THREAD_SLOTS": "2.5"}, "", "int"),
        ({"CLOSINGBELL_LEASE_S": "0"}, "", "1 or more"),
        ({}, "tread_slots = 3", "did you mean 'thread_slots'"),
        ({}, "thread_slots = true", "int"),
        ({}, "thread_slots = ", "TOML"),
    ],
)
def test_setting_that_cannot_be_read_is_refused(
    tmp_path: Path, environ: dict[str, str], toml: str, says: str
) -> None:
    file = tmp_path / "closingbell.toml"
    file.write_text(toml)
    with pytest.raises(SettingError, match=says):
        load_settings({}, environ, file)


def test_settings_file_that_is_missing_is_refused_when_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="readable"):
        load_settings({}, {}, tmp_path / "none.toml")
