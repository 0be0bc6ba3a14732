"""Pace: what keeps the attempts of a live app in step with the market that passes its desk."""

from __future__ import annotations

from typing import Protocol

from closingbell.core.call import Call


class Pace(Protocol):
    """In a backtest nothing needs it: there everything happens in order by itself."""

    def ready(self, account: str, call: Call, instant: int) -> None:
        """Wait until the bars that are over by an instant have passed, and it is the call's turn.

        Args:
            account: that is about to be asked; it is opened if need be.
            call: the attempt that asks.
            instant: the attempt's own, in desk microseconds.

        Raises:
            UnknownAccount: it was not added.
        """
        ...

    def asleep(self, run_id: str, until: int) -> None:
        """Say that a run sleeps until an instant: the market need not wait for it before."""
        ...
