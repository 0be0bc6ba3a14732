"""Which desk a command is about: a service elsewhere, or the store that is at hand.

Both are asked by the same client. A service is asked over the network; a store by the same
routes in this process, so that a command has one way to read, to act and to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from closingbell.cli.option import FromEnvironment
from closingbell.core.error import SubmitError

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.client import Client

#: What a client in this process calls the service; it is resolved by nobody.
_HERE = "http://localhost"


class Place(NamedTuple):
    """Where a command was told to look.

    Attributes:
        url: of a service.
        token_file: the credential for it.
        target: an app of this machine.
        database: of this machine.
    """

    url: str | None
    token_file: Path | None
    target: str | None
    database: str | None


def find_place(
    url: str | None, token_file: Path | None, target: str | None, database: str | None
) -> Place:
    """Return what is meant of what the command line and the environment say.

    What is typed leads over CLOSINGBELL_URL, which leads over CLOSINGBELL_APP.

    Args:
        url: `--url`, or CLOSINGBELL_URL.
        token_file: `--token-file`.
        target: `--app`, CLOSINGBELL_APP, or an argument.
        database: `--database`.

    Raises:
        SubmitError: both a service and a store were typed.
    """
    here = database is not None or _typed(target)
    if _typed(url) and here:
        raise SubmitError("--url", url, "either --url, or a target or --database")
    if url is None or here:
        return Place(None, None, target, database)
    return Place(url, token_file, None, None)


def split_words(words: Sequence[str], place: Place) -> tuple[Place, list[str]]:
    """Return what is meant, and the words that follow a target; of a service all follow.

    Raises:
        TargetError: neither a service nor a target is named.
    """
    from closingbell.cli.target import looks_like_target, split_target

    if place.url is not None and (_typed(place.url) or not looks_like_target(words[0])):
        return place, list(words)
    target, rest = split_target(words, place.target)
    return place._replace(url=None, token_file=None, target=target), rest


def _typed(value: str | None) -> bool:
    return value is not None and not isinstance(value, FromEnvironment)


@contextmanager
def desk(
    place: Place,
    as_json: bool,
    *,
    with_tasks: bool = False,
    makes: bool = False,
    assignments: Sequence[str] | None = None,
) -> Iterator[tuple[Client, Output]]:
    """Reach a desk; what is done meanwhile is done by who is at the keyboard.

    Args:
        place: which.
        as_json: how the command writes.
        with_tasks: a target's tasks are needed, and not only its database.
        makes: make a SQLite file that is not there.
        assignments: what `--set` says; it needs a target.

    Raises:
        StoreUnavailable: it is a SQLite file that is not there.
        SettingError: the address or the token is none.
        TargetError: the target leads to no app.
    """
    if place.url is not None:
        with _service(place, as_json) as reached:
            yield reached
        return
    from closingbell.cli.access import app_of_settings, app_of_target, opened

    if with_tasks and place.target is not None:
        app = app_of_target(place.target, place.database, assignments)
    else:
        app = app_of_settings(place.database, place.target)
    from closingbell.cli.output import Output

    with opened(app, makes=makes), inner_client(app) as client:
        yield client, Output(as_json, app.settings.timezone)


@contextmanager
def _service(place: Place, as_json: bool) -> Iterator[tuple[Client, Output]]:
    from closingbell.cli.output import Output
    from closingbell.client import Client

    with Client(place.url, token_file=place.token_file) as client:
        # Who is not let in hears it before anything is done.
        zone = client.tokens.whoami().timezone
        yield client, Output(as_json, zone)


@contextmanager
def inner_client(app: App) -> Iterator[Client]:
    """Return a client of an app in this process; what it does is done by the present actor."""
    import httpx

    from closingbell.api.security.principal import Principal
    from closingbell.cli.in_process import InProcess
    from closingbell.client import Client
    from closingbell.core.actor import current_actor
    from closingbell.core.role import Role

    actor = current_actor()
    principal = Principal("here", actor.name, actor.kind, Role.ADMIN, actor.is_person)
    with (
        httpx.Client(transport=InProcess(app, principal), base_url=_HERE) as http,
        Client(_HERE, token="", tries=1, http=http) as client,
    ):
        yield client
