"""How a command reaches the store: with a user's app, or with the settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.core.error import SettingError, StoreUnavailable

if TYPE_CHECKING:
    from closingbell.app import App


def app_of_target(
    target: str, database: str | None = None, assignments: Sequence[str] | None = None
) -> App:
    """Return a user's app, with the settings that the command line leads over.

    Raises:
        TargetError: the target does not lead to an app.
        SettingError: a setting is unknown or impossible.
    """
    from closingbell.cli.target import load_app
    from closingbell.settings import load_settings

    app = load_app(target)
    given = given_settings(database, assignments)
    if given:
        # Everything is given here, so that environment and file cannot lead over the app's code.
        app.settings = load_settings({**asdict(app.settings), **given}, environ={})
    return app


def app_of_settings(database: str | None = None, target: str | None = None) -> App:
    """Return an app without tasks, to look at a store or to act on it; it never changes a schema.

    Args:
        database: what `--database` says; it leads.
        target: an app whose database is meant otherwise; without one the settings name it.
    """
    from closingbell.app import App, create_app
    from closingbell.core.clock import SystemClock

    if target is not None and database is None:
        from closingbell.cli.target import load_app

        return App(replace(load_app(target).settings, auto_upgrade=False), SystemClock())
    given = given_settings(database, None)
    return create_app(given.get("database"), auto_upgrade=False)


@contextmanager
def opened(app: App, *, makes: bool = False) -> Iterator[App]:
    """Open an app's store without starting anything, and close it at the end.

    Args:
        app: whose.
        makes: make a SQLite file that is not there, as starting does.

    Raises:
        StoreUnavailable: it is a SQLite file that is not there.
    """
    from closingbell.cli.actor import at_the_keyboard

    if not makes:
        require_database(app)
    try:
        if makes:
            # Opened first: what the tasks declare is not the act of who runs the command.
            app.machinery  # noqa: B018
        with at_the_keyboard():
            yield app
    finally:
        app.stop(0.0)


def require_database(app: App) -> None:
    """Refuse a SQLite file that is not there, instead of making an empty one.

    Raises:
        StoreUnavailable: it is not there.
    """
    path = sqlite_path(app.settings.database)
    if path is not None and not path.is_file():
        raise StoreUnavailable(
            f"there is no database {path}: it is made when an app is first started"
        )


def sqlite_path(database: str | None) -> Path | None:
    """Return the file of a SQLite address, or None for a server's."""
    from closingbell.store.database import SqliteDatabase, open_database

    opened_database = open_database(database)
    return opened_database.path if isinstance(opened_database, SqliteDatabase) else None


def given_settings(database: str | None, assignments: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings of `--database` and `--set`.

    Raises:
        SettingError: an assignment is not NAME=VALUE.
    """
    given: dict[str, Any] = {}
    for assignment in assignments or ():
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise SettingError("--set", assignment, "NAME=VALUE, such as lease_s=10")
        given[name.strip()] = value.strip()
    if database is not None:
        # A bare path is what people type; an address has a scheme.
        given["database"] = database if "://" in database else f"sqlite:///{database}"
    return given
