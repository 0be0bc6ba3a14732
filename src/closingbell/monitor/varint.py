"""Whole numbers as bytes: small ones take one, seven bits in each, the lowest first (LEB128)."""

from __future__ import annotations


def write_number(out: bytearray, number: int) -> None:
    """Append a number, 0 or more."""
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it.

    Raises:
        ValueError: the bytes end too early.
    """
    number = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
            shift += 7
    except IndexError:
        raise ValueError(
            f"figures end in the middle of a number, after {len(data)} bytes"
        ) from None
