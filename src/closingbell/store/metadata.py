"""What every table of the schema is made with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData, Text

#: All tables; `closingbell.store.schema` registers the last of them.
metadata = MetaData()

#: Names and ids: compared byte by byte, on PostgreSQL too, whatever its language.
Word = Text().with_variant(Text(collation="C"), "postgresql")


def is_one_of(column: str, words: Sequence[str]) -> str:
    """Return the condition that a column holds one of some words."""
    return "{} IN ({})".format(column, ", ".join(f"'{word}'" for word in words))
