"""Who is at the keyboard, for the audit ledger."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from closingbell.core.actor import Actor


def at_the_keyboard() -> AbstractContextManager[Actor]:
    """Let what is done in the `with` block be the act of who runs this command."""
    from closingbell.core.actor import ActorKind, acting_as

    return acting_as(_name(), ActorKind.COMMAND_LINE)


def _name() -> str:
    import getpass
    import os
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # In a container the user may have a number and no name.
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
