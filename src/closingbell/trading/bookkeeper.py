"""Bookkeeper: makes what was decided true, in the ledger first."""

from __future__ import annotations

from collections.abc import Callable

from closingbell.core.error import LedgerConflict
from closingbell.core.ledger import Change, Holder, Ledger
from closingbell.trading.account import Account
from closingbell.trading.draft import Draft

#: How often a decision is taken again when others change the account at the same time.
_PATIENCE = 100


class Bookkeeper:
    """Decides, records, and decides again when somebody else was first."""

    __slots__ = ("_wanted", "ledger", "shared")

    def __init__(self, ledger: Ledger, wanted: Callable[[str], bool], shared: bool) -> None:
        """Keep the accounts of a ledger.

        Args:
            ledger: where changes become true.
            wanted: which types of facts somebody waits for.
            shared: whether other processes change the same accounts.
        """
        self.ledger = ledger
        self.shared = shared
        self._wanted = wanted

    def draft(self, account: Account, at: int) -> Draft:
        """Return a draft from the account as it is."""
        return Draft(account, at, self._wanted)

    def settle(
        self, account: Account, decide: Callable[[], Draft], holder: Holder | None = None
    ) -> Draft:
        """Decide and make it true; the caller holds the account's lock.

        Args:
            account: whose change.
            decide: makes the draft from the account as it is then, and changes nothing; it is
                called again when the account was changed by somebody else meanwhile.
            holder: the attempt in whose name it is done.

        Returns:
            The draft that became true. One that needs no line in the ledger was not written.

        Raises:
            LedgerConflict: others changed the account each time.
            FenceLost: the holder's run is held by another attempt now.
            StoreError: the store did not take it; nothing happened.
        """
        if self.shared:
            account.refresh(self.ledger)
        for left in range(_PATIENCE, 0, -1):
            draft = decide()
            if draft.is_empty:
                account.accept(draft, None)
                return draft
            change = draft.change(holder)
            try:
                version = self.ledger.record(change)
            except LedgerConflict:
                if left == 1 or not account.refresh(self.ledger):
                    raise
                continue
            account.accept(draft, change.account.at_version(version))
            return draft
        raise AssertionError("unreachable")

    def check(self, account: Account, holder: Holder | None) -> None:
        """Ask the store whether an attempt still holds its run.

        Raises:
            FenceLost: it does not.
        """
        if holder is None:
            return
        with account.lock:
            for left in range(_PATIENCE, 0, -1):
                try:
                    version = self.ledger.record(Change(account.record, holder=holder))
                except LedgerConflict:
                    if left == 1 or not account.refresh(self.ledger):
                        raise
                    continue
                account.record = account.record.at_version(version)
                return
