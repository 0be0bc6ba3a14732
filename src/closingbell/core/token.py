"""Token: a secret that a program, or a person, shows to come in.

It reads `cb_<id>_<secret>`. The id is no secret: lists, logs and audit records name a token
by it. The secret is 32 random bytes, so that a plain hash of it is as good as a slow one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from closingbell.core.error import SubmitError

_ID_BYTES, _SECRET_BYTES = 8, 32
_FORM = re.compile(r"cb_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)


class Token(NamedTuple):
    """One token; only who made it ever has the text.

    Attributes:
        id: 16 hexadecimal digits, no secret.
        secret: 64 hexadecimal digits.
    """

    id: str
    secret: str

    @property
    def text(self) -> str:
        """What is sent as `Authorization: Bearer ...`."""
        return f"cb_{self.id}_{self.secret}"

    @property
    def hash(self) -> str:
        """What the store keeps of it."""
        return hash_of(self.text)

    def __repr__(self) -> str:
        return f"Token({self.id})"


def make_token(entropy: Callable[[int], bytes]) -> Token:
    """Return a new token.

    Args:
        entropy: n random bytes, as `os.urandom`.
    """
    return Token(entropy(_ID_BYTES).hex(), entropy(_SECRET_BYTES).hex())


def read_token(text: str) -> Token | None:
    """Return the token that a text is, or None."""
    match = _FORM.fullmatch(text)
    return None if match is None else Token(match[1], match[2])


def hash_of(secret: str) -> str:
    """Return the SHA-256 of a secret, as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_same(one: str, other: str) -> bool:
    """Whether two hashes are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def derived(secret: str, purpose: str) -> str:
    """Return what only who has the secret can know, and what does not give it away."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def require_name(option: str, name: str) -> str:
    """Return the name of a token or a person, or refuse it.

    Raises:
        SubmitError: it is empty, longer than 100 characters, or cannot be printed.
    """
    name = name.strip()
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise SubmitError(option, name[:100], "1 to 100 characters that can be printed")
    return name
