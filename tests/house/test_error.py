"""Every error class: built from sample arguments, it crosses a process boundary unchanged."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import pytest

import closingbell.core.error
from closingbell.core.error import ClosingbellError

# By annotation; a new kind of argument needs a sample here.
SAMPLES: dict[Any, Any] = {
    str: "sample",
    str | None: "sample",
    int: 3,
    int | None: 3,
    float: 1.5,
    float | None: 1.5,
    bool: True,
    object: 17,
    Any: 17,
    timedelta: timedelta(seconds=90),
    datetime: datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime | None: datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    Iterable[str]: ("first", "second"),
    Iterable[tuple[str, str]]: [("body.priority", "expected a whole number")],
    dict[str, Any]: {"type": "ValueError", "message": "no price"},
    Mapping[str, Any]: {"type": "ValueError", "message": "no price"},
}


EVERY_CLASS = [
    kind
    for kind in vars(closingbell.core.error).values()
    if isinstance(kind, type) and issubclass(kind, ClosingbellError)
]


def sample(kind: type[ClosingbellError]) -> ClosingbellError:
    construct: Callable[..., ClosingbellError] = kind
    hints = get_type_hints(kind.__init__)
    names = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    return construct(*(SAMPLES[hints[name]] for name in names))


@pytest.mark.parametrize("kind", EVERY_CLASS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "transport",
    [
        *(
            pytest.param(lambda e, p=p: pickle.loads(pickle.dumps(e, p)), id=f"pickle-{p}")
            for p in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
def test_error_after_transport_is_the_same(
    kind: type[ClosingbellError], transport: Callable[[ClosingbellError], ClosingbellError]
) -> None:
    error = sample(kind)
    arrived = transport(error)
    assert type(arrived) is kind
    assert (str(arrived), arrived.args) == (str(error), error.args)
    assert (arrived.fields, arrived.code) == (error.fields, error.code)


@pytest.mark.parametrize("kind", EVERY_CLASS, ids=lambda kind: kind.__name__)
def test_error_message_is_one_line_that_says_what_was_given(kind: type[ClosingbellError]) -> None:
    message = str(sample(kind))
    assert message == message.strip()
    assert "\n" not in message
    assert message


@pytest.mark.parametrize("kind", EVERY_CLASS, ids=lambda kind: kind.__name__)
def test_error_code_is_its_own_and_snake_case(kind: type[ClosingbellError]) -> None:
    assert "code" in vars(kind)
    assert kind.code == kind.code.lower()
    assert kind.code.replace("_", "").isalpha()
    assert [other for other in EVERY_CLASS if other.code == kind.code] == [kind]


@pytest.mark.parametrize("kind", EVERY_CLASS, ids=lambda kind: kind.__name__)
def test_error_fields_can_be_written_as_json(kind: type[ClosingbellError]) -> None:
    fields = sample(kind).fields
    assert json.loads(json.dumps(fields, default=datetime.isoformat)).keys() == fields.keys()
