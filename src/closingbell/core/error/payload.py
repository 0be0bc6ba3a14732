"""Errors of submissions: what was submitted does not fit."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.error.root import ClosingbellError


class PayloadError(ClosingbellError, ValueError):
    """A submission that is refused at the door; nothing was stored."""

    code = "invalid_payload"


class PayloadMismatch(PayloadError):
    """The payload does not fit the handler's signature.

    Attributes:
        task: the task's name.
        problems: one sentence for each field that does not fit.
    """

    code = "payload_mismatch"

    def __init__(self, task: str, problems: Iterable[str]) -> None:
        self.task = task
        self.problems = list(problems)
        super().__init__(f"payload does not fit task {task!r}: {'; '.join(self.problems)}")


class PayloadTooLarge(PayloadError):
    """The payload, as JSON, is larger than the limit."""

    code = "payload_too_large"

    def __init__(self, task: str, size: int, limit: int) -> None:
        super().__init__(
            f"payload of task {task!r} is {size} bytes of JSON: the limit is {limit}; "
            "store the data elsewhere and pass a reference, or raise payload_limit_bytes"
        )
        self.task = task
        self.size = size
        self.limit = limit


class PayloadNotJson(PayloadError):
    """The payload cannot be written as JSON."""

    code = "payload_not_json"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"payload of task {task!r} cannot be written as JSON: {problem}; "
            "expected a mapping of strings to JSON values"
        )
        self.task = task
        self.problem = problem


class SubmitError(PayloadError):
    """An option of a submission is impossible (priority, delay, time, tags, key)."""

    code = "invalid_submission"

    def __init__(self, option: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {option} {given!r}: expected {expected}")
        self.option = option
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected
