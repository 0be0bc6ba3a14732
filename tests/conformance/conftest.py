"""One desk for every exercise, on each store in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.desk import Desk


@pytest.fixture
def desk(store_address: str) -> Iterator[Desk]:
    """A prepared, empty store."""
    made = Desk(store_address)
    try:
        yield made
    finally:
        made.close()
