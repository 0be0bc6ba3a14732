"""Role: what somebody at the door may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Each may do all that those before it may.

    A viewer reads. An operator runs the desk: submits, cancels, retries, approves, pauses,
    triggers, acknowledges, and makes schedules. An admin decides who may come in and what is
    watched: tokens, alert rules, maintenance.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Whether who has this role may do what needs another."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
