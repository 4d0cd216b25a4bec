"""API keys: what they look like, and how they are recognised without being kept.

    wl_<id: 12>_<secret: 32>_<checksum: 6>

The id may be shown, the checksum tells a mistyped key from an unknown one without asking the database, and only the
sha256 of the whole is stored. The secret has 160 bits, so the hash needs neither salt nor stretching.
"""

import hashlib
import secrets
import zlib
from dataclasses import dataclass

_PREFIX = "wl"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. `owner` is what tasks belong to."""

    key_id: str
    name: str

    @property
    def owner(self) -> str:
        """The owner of what this caller makes."""
        return self.key_id


def new_key() -> str:
    """Return a new key."""
    body = f"{_PREFIX}_{_random(12)}_{_random(32)}"
    return f"{body}_{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Say whether the key's form and checksum are right. Says nothing of whether it exists."""
    body, _, checksum = key.rpartition("_")
    return body.count("_") == 2 and body.startswith(f"{_PREFIX}_") and secrets.compare_digest(_checksum(body), checksum)  # noqa: PLR2004


def key_id(key: str) -> str:
    """Return the part of a key that may be shown."""
    return key.split("_")[1]


def key_hash(key: str) -> bytes:
    """Return what is stored instead of the key."""
    return hashlib.sha256(key.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(25, -5, -5))
