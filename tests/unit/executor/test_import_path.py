from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.error import HandlerNotFound
from closingbell.executor.import_path import import_path_of, load


def module_level(payload: dict[str, Any]) -> None: ...


def loud(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return ("loud", function(*args, **kwargs))

    return wrapper


@loud
def decorated(payload: dict[str, Any]) -> str:
    return "inner"


class Desk:
    @staticmethod
    def static(payload: dict[str, Any]) -> None: ...

    @classmethod
    def of_class(cls) -> str:
        return cls.__name__

    def run(self, algorithm: object) -> None: ...


class Handle:
    """What a decorator may leave in a function's place."""

    __closingbell_handler__ = staticmethod(module_level)


registered = Handle()
not_callable = 5


def test_functions_and_methods_of_classes_have_a_path_that_loads() -> None:
    for handler in (module_level, decorated, Desk.static, pickle.dumps):
        assert load(import_path_of(handler)) is handler
    assert load(import_path_of(Desk.of_class))() == "Desk"


def test_a_decorated_function_is_found_with_its_decoration() -> None:
    assert load(import_path_of(decorated))({}) == ("loud", "inner")


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (lambda payload: None, "lambda"),
        (loud(lambda payload: None), "lambda"),
        (Desk().run, "live Desk object"),
        (functools.partial(module_level), "partial object"),
        (Handle(), "Handle object"),
    ],
)
def test_what_another_process_cannot_import_is_refused(handler: Any, why: str) -> None:
    with pytest.raises(HandlerNotFound, match=why):
        import_path_of(handler)


def test_a_function_inside_another_one_is_refused() -> None:
    def inner(payload: dict[str, Any]) -> None: ...

    with pytest.raises(HandlerNotFound, match="defined inside another function"):
        import_path_of(inner)


def test_a_stand_in_leads_to_its_handler() -> None:
    assert load(f"{__name__}:registered") is module_level


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no.such.module:f", "importing 'no.such.module' raised ModuleNotFoundError"),
        (f"{__name__}:absent", "has no 'absent'"),
        (f"{__name__}:Desk.absent", "has no 'Desk.absent'"),
        (f"{__name__}:not_callable", "it is a int"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, why: str) -> None:
    with pytest.raises(HandlerNotFound, match=why):
        load(path)


def test_a_module_that_fails_is_named_with_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_desk.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(HandlerNotFound, match="raised ZeroDivisionError") as caught:
        load("broken_desk:f")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
