"""Errors of messages: what a channel did not take."""

from __future__ import annotations

from closingbell.core.error.root import ClosingbellError


class DeliveryFailed(ClosingbellError):
    """A channel did not take a message.

    Attributes:
        channel: its name.
        problem: what went wrong, without secrets.
        retryable: whether sending it again later may help.
        retry_after_s: not before so many seconds, where the receiver said so.
    """

    code = "delivery_failed"

    def __init__(
        self, channel: str, problem: str, retryable: bool, retry_after_s: float | None = None
    ) -> None:
        hope = "it is tried again later" if retryable else "it is not tried again"
        super().__init__(f"channel {channel!r} did not take the message: {problem}; {hope}")
        self.channel = channel
        self.problem = problem
        self.retryable = retryable
        self.retry_after_s = retry_after_s
