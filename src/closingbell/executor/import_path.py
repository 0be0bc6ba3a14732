"""Import paths: how another process finds a handler again.

A path is "module:qualified.name". The script that was started is "__main__", as
in its own process: a child imports it by the file or the module name that the
parent was started with, so that code under `if __name__ == "__main__"` stays out.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closingbell.core.error import HandlerNotFound

#: The name under which a child knows the started script, as in multiprocessing.
CHILD_MAIN = "__mp_main__"


def import_path_of(handler: Callable[..., Any]) -> str:
    """Return the path by which another process can import a handler.

    Args:
        handler: a module-level function, or a class or static method of a module-level class.

    Raises:
        HandlerNotFound: a lambda, a closure, a method of a live object, or a function typed
            into an interactive session.
    """
    name = getattr(handler, "__qualname__", None)
    module = getattr(handler, "__module__", None)
    shown = f"{module}:{name}" if name and module else repr(handler)
    if not name or not module:
        raise HandlerNotFound(
            shown, f"a {type(handler).__name__} object has no module and name of its own"
        )
    if name == "<lambda>" or name.endswith(".<lambda>"):
        raise HandlerNotFound(shown, "it is a lambda")
    if "<locals>" in name:
        raise HandlerNotFound(shown, "it is defined inside another function")
    owner = getattr(handler, "__self__", None)
    if owner is not None and not isinstance(owner, type | types.ModuleType):
        raise HandlerNotFound(
            shown, f"it is a method of a live {type(owner).__name__} object, which stays here"
        )
    if module == CHILD_MAIN:
        module = "__main__"
    if module == "__main__" and main_source() is None:
        raise HandlerNotFound(shown, "it was typed into an interactive session")
    return f"{module}:{name}"


def main_source() -> tuple[str, str] | None:
    """Return how this process's script was started, for `load_main` in another one.

    Returns:
        ("module", name) after `python -m name`, ("file", absolute path) after `python path`,
        None for an interactive session.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return ("module", spec.name)
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    return ("file", str(Path(file).absolute()))


def load_main(source: tuple[str, str]) -> None:
    """Run the parent's script here as a module, so that "__main__:..." paths can be loaded."""
    import runpy

    kind, where = source
    module = types.ModuleType(CHILD_MAIN)
    if kind == "module":
        content = runpy.run_module(where, run_name=CHILD_MAIN, alter_sys=False)
    else:
        module.__file__ = where
        content = runpy.run_path(where, run_name=CHILD_MAIN)
    module.__dict__.update(content)
    sys.modules["__main__"] = sys.modules[CHILD_MAIN] = module


def load(path: str) -> Callable[..., Any]:
    """Import a handler.

    An object that stands in for its handler says so with an attribute `__closingbell_handler__`.

    Raises:
        HandlerNotFound: the module cannot be imported (its own error is the cause), it has no
            such name, or what has the name cannot be called.
    """
    module_name, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as problem:
        raise HandlerNotFound(
            path, f"importing {module_name!r} raised {type(problem).__name__}: {problem}"
        ) from problem
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise HandlerNotFound(path, f"module {module_name!r} has no {name!r}") from None
    handler: Any = getattr(found, "__closingbell_handler__", found)
    if not callable(handler):
        raise HandlerNotFound(path, f"it is a {type(handler).__name__}, which cannot be called")
    return handler  # type: ignore[no-any-return]
