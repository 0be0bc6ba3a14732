"""Settings of the door: what cannot work is refused where it is given, and secrets stay inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closingbell.core.error import SettingError
from closingbell.settings import Settings, load_settings


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("public_url", "desk.example"),
        ("public_url", "ftp://desk.example"),
        ("public_url", "https://"),
        ("public_url", "https://desk.example/path"),
        ("public_url", "https://desk.example?x"),
        ("public_url", "https://ann@desk.example"),
        ("public_url", "https://desk.example:http"),
        ("session_idle_s", 119),
        ("session_s", 0),
        ("sign_in_cache_s", -1),
        ("sign_in_failures", 0),
        ("body_limit_bytes", 999),
    ],
)
def test_setting_of_the_door_that_cannot_work_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(SettingError, match=setting):
        Settings(**{setting: value})


@pytest.mark.parametrize("url", ["https://desk.example", "http://10.0.0.5:8470/", "https://[::1]"])
def test_public_address_may_be_any_origin(url: str) -> None:
    assert Settings(public_url=url).public_url == url


def test_token_comes_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "closingbell.toml"
    file.write_text(f'token = "{"f" * 40}"\n')
    assert load_settings({}, {}, file).token == "f" * 40
    assert load_settings({}, {"CLOSINGBELL_TOKEN": "e" * 40}, file).token == "e" * 40


def test_secret_under_a_misspelled_name_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "closingbell.toml"
    file.write_text('oidc_client_secrte = "the client\'s secret"\n')
    with pytest.raises(SettingError, match="did you mean 'oidc_client_secret'") as refused:
        load_settings({}, {}, file)
    assert "the client's secret" not in str(refused.value)
