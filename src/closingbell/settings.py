"""Settings: one frozen record, from flags, environment and file, in this order.

A flag (or an argument of `create_app`) leads over `CLOSINGBELL_<NAME>` in the
environment, which leads over `closingbell.toml` in the working folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from closingbell.core.error import SettingError, near_name
from closingbell.core.role import Role

#: The file that is read when it is in the working folder.
SETTINGS_FILE = "closingbell.toml"
_PREFIX = "CLOSINGBELL_"
_DAY_S = 86_400.0
_WORDS = {"log_format": ("text", "json"), "log_level": ("debug", "info", "warning", "error")}
#: 32 characters of base 16 are 128 bits.
_TOKEN_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Durations end in `_s` and are seconds.

    Attributes:
        database: an address; None = `closingbell.db` in the working folder.
        timezone: the zone of times that name none.
        async_slots: runs at once on the event loop.
        thread_slots: runs at once in threads.
        process_slots: child processes; 0 = one for each core.
        lease_s: a worker that is silent for so long is dead.
        grace_s: how long a stopping worker lets its runs finish.
        retention_s: finished runs older than this are pruned.
        firing_retention_s: ticks of schedules older than this are pruned.
        payload_limit_bytes: the largest payload, as JSON.
        log_limit_bytes: captured output kept for one attempt.
        poison_after: a run that lost so many workers is parked as failed.
        long_execution_s: a successful attempt that took longer raises an alert.
        guardian: keep the lease alive from a process of its own.
        auto_upgrade: upgrade an older schema at start.
        calendars: a file of your own closures, half days and venues.
        data: a folder, or an address such as "s3://bucket/market", for market data; None = a
            folder beside the SQLite file (or `closingbell-data` in the working folder), with the
            shipped history below it.
        archive: a folder, or an address such as "s3://bucket/archive", where what is pruned is kept
            as Parquet; None = it is deleted for good.
        log_format: "text" for people, or "json": one object a line, for what collects logs.
        log_level: "debug", "info", "warning" or "error": what `serve` and `worker` write.
        host: where the API listens; anything but loopback can be reached by other machines.
        port: of the API; 0 = one that is free.
        token: a token that the API accepts as an admin's without storing it; 32 characters or more.
        token_file: a file that holds that token.
        public_url: where people reach the service, such as "https://desk.example"; its host is
            accepted, pages of it may send requests, and with https cookies are for https alone.
        allowed_hosts: other names that requests may be sent to, with commas in between.
        trusted_proxies: addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are
            believed, with commas in between; None = nobody's.
        body_limit_bytes: the largest body of a request.
        session_idle_s: a browser that is not seen for so long is signed out.
        session_s: a browser is signed out after so long, however busy it is.
        sign_in_cache_s: how long a verified token or session is taken as still good before the
            store is asked again; a revocation by another process takes effect so late at most.
        sign_in_failures: so many failed sign-ins a minute are answered for one client address, and
            ten times as many in all; further ones are told to wait.
        oidc_issuer: the OpenID Connect provider whose people may sign in; None = no provider.
        oidc_client_id: what the provider knows this service as.
        oidc_client_secret: what the service shows the provider; None = a public client.
        oidc_client_secret_file: a file that holds that secret.
        oidc_role_claim: where an id token names groups or roles; dots lead into objects.
        oidc_roles: which of them are which role, such as "desk-admins=admin,traders=operator"; *
            is everybody else.
        oidc_name_claim: what a person is called in the audit ledger; it must be theirs alone.
        channels: ways to tell people of alerts, by name: tables of the settings file such as
            `[channels.desk]`, with the options of `app.add_channel`; in the environment as JSON.
    """

    database: str | None = None
    timezone: str = "UTC"
    async_slots: int = 512
    thread_slots: int = 16
    process_slots: int = 0
    lease_s: float = 30.0
    grace_s: float = 10.0
    retention_s: float = 30 * _DAY_S
    firing_retention_s: float = 400 * _DAY_S
    payload_limit_bytes: int = 1_000_000
    log_limit_bytes: int = 65_536
    poison_after: int = 3
    long_execution_s: float = 300.0
    guardian: bool = True
    auto_upgrade: bool = True
    calendars: str | None = None
    data: str | None = None
    archive: str | None = None
    log_format: str = "text"
    log_level: str = "info"
    host: str = "127.0.0.1"
    port: int = 8470
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    public_url: str | None = None
    allowed_hosts: str = ""
    trusted_proxies: str | None = None
    body_limit_bytes: int = 10_000_000
    session_idle_s: float = 8 * 3_600.0
    session_s: float = 7 * _DAY_S
    sign_in_cache_s: float = 5.0
    sign_in_failures: int = 10
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    oidc_client_secret_file: str | None = None
    oidc_role_claim: str = "groups"
    oidc_roles: str = ""
    oidc_name_claim: str = "email"
    channels: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("async_slots", "thread_slots", "poison_after", "sign_in_failures"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "a whole number, 1 or more")
        for name in ("payload_limit_bytes", "log_limit_bytes", "body_limit_bytes"):
            if getattr(self, name) < 1_000:
                raise SettingError(name, getattr(self, name), "1000 bytes or more")
        for name in ("process_slots", "grace_s", "sign_in_cache_s"):
            if getattr(self, name) < 0:
                raise SettingError(name, getattr(self, name), "0 or more")
        for name in (
            "retention_s", "firing_retention_s", "long_execution_s", "session_s",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise SettingError(name, getattr(self, name), "seconds, more than 0")
        if not 0 <= self.port <= 65_535:
            raise SettingError("port", self.port, "a port from 0 (any free one) to 65535")
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise SettingError(name, getattr(self, name), f"one of {', '.join(words)}")
        if self.lease_s < 1:
            raise SettingError("lease_s", self.lease_s, "seconds, 1 or more")
        if self.session_idle_s < 120:
            # When a browser was seen last is written once a minute.
            raise SettingError("session_idle_s", self.session_idle_s, "seconds, 120 or more")
        if self.token is not None:
            require_token("token", self.token)
        if self.public_url is not None:
            _require_origin("public_url", self.public_url)
        if self.oidc_issuer is not None:
            self._require_provider(self.oidc_issuer)

    def _require_provider(self, issuer: str) -> None:
        from urllib.parse import urlsplit

        address = urlsplit(issuer)
        near = address.hostname in ("localhost", "127.0.0.1", "::1")
        if not (address.scheme == "https" or (near and address.scheme == "http")):
            raise SettingError("oidc_issuer", issuer, "an address that begins with https://")
        if not self.oidc_client_id:
            raise SettingError("oidc_client_id", None, "what the provider knows this service as")
        for pair in self.oidc_roles.split(","):
            name, equals, role = pair.strip().rpartition("=")
            if not (equals and name and role in list(Role)):
                raise SettingError(
                    "oidc_roles", self.oidc_roles, "such as desk-admins=admin,traders=operator"
                )


def require_token(name: str, token: str) -> None:
    """Refuse a token that could be guessed, or that no header can carry; it is not repeated.

    Raises:
        SettingError: it is shorter than 32 characters, or has other ones than visible ASCII.
    """
    if len(token) < _TOKEN_LENGTH or not all("!" <= character <= "~" for character in token):
        raise SettingError(
            name,
            f"a text of {len(token)} characters",
            f"{_TOKEN_LENGTH} random characters or more, ASCII, without spaces: let "
            "`openssl rand -hex 32` make one",
        )


def _require_origin(name: str, url: str) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in url:
        raise SettingError(name, url, "an address such as https://desk.example, without a path")


def load_settings(
    given: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Merge what was given with the environment and the settings file.

    Args:
        given: by name; values of None count as not given.
        environ: default the process's environment.
        file: default `closingbell.toml` in the working folder, if it is there.

    Raises:
        SettingError: a name is unknown or a value cannot be read.
    """
    values: dict[str, Any] = {}
    for name, value in _from_file(file).items():
        values[name] = _read(name, value)
    for key, text in (os.environ if environ is None else environ).items():
        name = key.removeprefix(_PREFIX).lower()
        if key.startswith(_PREFIX) and name in _kinds():
            values[name] = _read(name, text)
    for name, value in given.items():
        if value is not None:
            values[name] = _read(name, value)
    return Settings(**values)


def _kinds() -> dict[str, str]:
    return {one.name: str(one.type) for one in fields(Settings)}


def _from_file(file: Path | None) -> dict[str, Any]:
    path = file or Path(SETTINGS_FILE)
    if file is None and not path.is_file():
        return {}
    import tomllib

    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as problem:
        raise SettingError("settings file", path, f"a readable file ({problem})") from problem
    except tomllib.TOMLDecodeError as problem:
        raise SettingError("settings file", path, f"TOML ({problem})") from problem


def _read(name: str, value: Any) -> Any:
    kinds = _kinds()
    if name not in kinds:
        near = near_name(name, kinds)
        hint = f"did you mean {near!r}?" if near else "one of " + ", ".join(kinds)
        # A misspelled name may hold a secret.
        raise SettingError(name, "...", f"a known setting: {hint}")
    kind = kinds[name]
    try:
        if kind.startswith("Mapping"):
            return _tables(value)
        if kind == "bool":
            return _truth(value)
        if kind == "int":
            if isinstance(value, bool) or float(value) != int(value):
                raise ValueError
            return int(value)
        if kind == "float":
            if isinstance(value, bool):
                raise ValueError
            return float(value)
        return str(value)
    except (TypeError, ValueError):
        if kind.startswith("Mapping"):
            # There may be secrets in it.
            raise SettingError(name, "...", "a table for each name") from None
        raise SettingError(name, value, f"a value of type {kind}") from None


def _tables(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        import json

        value = json.loads(value)
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise ValueError
    return {str(name): dict(table) for name, table in value.items()}


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError
