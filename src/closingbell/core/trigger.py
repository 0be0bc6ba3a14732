"""When: the one method that every trigger answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Trigger(Protocol):
    """A pure rule that names instants; frozen, comparable, without memory."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first firing strictly after `instant`.

        Args:
            instant: an aware datetime, in any zone.

        Returns:
            An aware UTC datetime greater than `instant`, or None if the rule
            never fires again.

        Raises:
            TriggerError: `instant` is naive.
        """
        ...

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`, in the rule's own zone."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values with its `kind`; the inverse is `trigger_from_dict`."""
        ...

    def describe(self) -> str:
        """Say the rule in plain English, such as "every day at 02:00 (Europe/London)"."""
        ...
