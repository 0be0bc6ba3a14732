"""Amounts on the wire: decimal text, all digits, never an exponent."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer

from closingbell.core.amount import plain

Amount = Annotated[Decimal, PlainSerializer(lambda value: plain(Decimal(value)), return_type=str)]
