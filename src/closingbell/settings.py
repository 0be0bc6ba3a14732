"""Settings: one frozen record, from flags, environment and file, in this order.

A flag (or an argument of `create_app`) leads over `CLOSINGBELL_<NAME>` in the
environment, which leads over `closingbell.toml` in the working folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from closingbell.core.error import SettingError, near_name

#: The file that is read when it is in the working folder.
SETTINGS_FILE = "closingbell.toml"
_PREFIX = "CLOSINGBELL_"
_DAY_S = 86_400.0


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

    def __post_init__(self) -> None:
        for name in ("async_slots", "thread_slots", "poison_after"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "a whole number, 1 or more")
        for name in ("payload_limit_bytes", "log_limit_bytes"):
            if getattr(self, name) < 1_000:
                raise SettingError(name, getattr(self, name), "1000 bytes or more")
        for name in ("process_slots", "grace_s"):
            if getattr(self, name) < 0:
                raise SettingError(name, getattr(self, name), "0 or more")
        for name in ("retention_s", "firing_retention_s", "long_execution_s"):
            if not getattr(self, name) > 0:
                raise SettingError(name, getattr(self, name), "seconds, more than 0")
        if self.lease_s < 1:
            raise SettingError("lease_s", self.lease_s, "seconds, 1 or more")


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
    return {field.name: str(field.type) for field in fields(Settings)}


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
        raise SettingError(name, value, f"a known setting: {hint}")
    kind = kinds[name]
    try:
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
        raise SettingError(name, value, f"a value of type {kind}") from None


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError
