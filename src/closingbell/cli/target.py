"""From `module:app` to an App."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.core.error import TargetError, near_name

if TYPE_CHECKING:
    from types import ModuleType

    from closingbell.app import App

DEFAULT_ATTRIBUTE = "app"


def split_target(words: Sequence[str], app: str | None) -> tuple[str, list[str]]:
    """Return the target and the words after it, of a command such as `submit [TARGET] TASK ...`.

    The first word is the target where no other was given; beside one from the
    environment it is so only when it looks like one (`desk:app`, `desk.py`).

    Args:
        words: the command's arguments.
        app: what `--app` or CLOSINGBELL_APP say.

    Raises:
        TargetError: there is none.
    """
    if words and (app is None or looks_like_target(words[0])):
        return words[0], list(words[1:])
    if app is None:
        raise TargetError("", "none was given: name one, use --app, or set CLOSINGBELL_APP")
    return app, list(words)


def looks_like_target(word: str) -> bool:
    """Whether a word can only be a target: 'desk:app', 'desk.py', 'desks/desk.py:app'."""
    location, _, attribute = word.partition(":")
    if location.endswith(".py"):
        return True
    names = [*location.split("."), attribute]
    return ":" in word and all(name.isidentifier() for name in names)


def require_target(target: str | None, app: str | None) -> str:
    """Return the target of a command that takes nothing else.

    Raises:
        TargetError: there is none.
    """
    return split_target([] if target is None else [target], None if target is not None else app)[0]


def load_app(target: str) -> App:
    """Import a module, by name or by file, and return the app that it holds.

    The working folder, or the file's folder, is put on `sys.path`, as `python -m` and
    `python file.py` do.

    Raises:
        TargetError: the module or the attribute is missing, importing fails, or it is no app.
    """
    from closingbell.app import App

    location, _, attribute = target.partition(":")
    if not location:
        raise TargetError(target, "it names no module: expected module:app")
    App.importing = True
    try:
        module = _load_module(target, location)
    finally:
        App.importing = False
    attribute = attribute or DEFAULT_ATTRIBUTE
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(target, _missing(module, attribute)) from None
    if not isinstance(found, App):
        raise TargetError(
            target,
            f"{attribute!r} is a {type(found).__name__}, not an app: expected what "
            "create_app() returned",
        )
    return found


def _load_module(target: str, location: str) -> ModuleType:
    by_file = location.endswith(".py") or "/" in location
    folder, name = Path.cwd(), location
    if by_file:
        file = Path(location).absolute()
        if not file.is_file():
            raise TargetError(target, f"there is no file {location!r}")
        # Imported by its own name, so that children find its functions again.
        folder, name = file.parent, file.stem
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if not by_file and not _exists(name):
        raise TargetError(
            target, f"there is no module {name!r} in {folder} or among the installed packages"
        )
    try:
        return importlib.import_module(name)
    except Exception as problem:
        raise TargetError(
            target, f"importing {name!r} raised {type(problem).__name__}: {problem}"
        ) from problem


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _missing(module: ModuleType, attribute: str) -> str:
    from closingbell.app import App

    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    said = f"module {module.__name__!r} has no {attribute!r}"
    if apps:
        return f"{said}: it holds the apps {', '.join(apps)}"
    near = near_name(attribute, vars(module))
    return f"{said}: did you mean {near!r}?" if near else f"{said}, and no app at all"
