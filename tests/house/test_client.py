"""The plain client is what the async one says."""

from __future__ import annotations

from scripts.build_client import convert, stale


def test_plain_client_is_made_of_the_async_client_as_it_is() -> None:
    assert stale() == []


def test_words_of_async_code_are_replaced() -> None:
    text = "async def f(c: AsyncClient) -> AsyncIterator[int]:\n    await c.aclose()\n"
    assert convert(text) == "def f(c: Client) -> Iterator[int]:\n    c.close()\n"
