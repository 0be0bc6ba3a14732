"""StillCatalogue: the app's market data as it is when a backtest begins, whatever is stored later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from closingbell.core.bar import Bar, BarSource
from closingbell.core.ledger import Fact, FileVersion, Manifest
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.layered import LayeredBars
from closingbell.trading.market.view import CatalogueView


class StillManifest:
    """A manifest that answers as at one moment; what is written goes through to the real one."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._actions = manifest.actions()
        self._all = manifest.files()
        self._files: dict[tuple[str | None, str | None], list[FileVersion]] = {}

    def files(self, symbol: str | None = None, timeframe: str | None = None) -> list[FileVersion]:
        found = self._files.get((symbol, timeframe))
        if found is None:
            found = self._files[symbol, timeframe] = [
                file
                for file in self._all
                if symbol in (None, file.symbol) and timeframe in (None, file.timeframe)
            ]
        return found

    def actions(self) -> list[Any]:
        return self._actions

    def replace(
        self,
        files: Sequence[FileVersion],
        gone: Sequence[FileVersion],
        facts: Sequence[Fact],
        at: int,
    ) -> None:
        self._manifest.replace(files, gone, facts, at)

    def put_actions(self, actions: Sequence[Any]) -> int:
        return self._manifest.put_actions(actions)


class StillCatalogue(BarCatalogue):
    """A catalogue whose reads ask no database any more.

    A file that is replaced meanwhile is gone, and is read in its new version.
    """

    def __init__(self, catalogue: BarCatalogue) -> None:
        self.manifest = StillManifest(catalogue.manifest)
        self._view = catalogue.view()

    def view(self, symbol: str | None = None, timeframe: str | None = None) -> CatalogueView:
        return self._view

    def bars(
        self,
        symbol: str,
        timeframe: str,
        start: int,
        end: int,
        limit: int | None = None,
        *,
        archived: bool = False,
    ) -> list[Bar]:
        return self._view.bars(symbol, timeframe, start, end, limit, archived=archived)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all."""
        return not (self.manifest.files() or self.manifest.actions())


def still_source(catalogue: BarCatalogue, below: BarSource | None) -> BarSource:
    """Return what accounts trade on, as it is now.

    Args:
        catalogue: the app's own bars.
        below: what is read where it has none; None = nothing.
    """
    still = StillCatalogue(catalogue)
    if below is None:
        return still
    return below if still.is_empty else LayeredBars(still, below)
