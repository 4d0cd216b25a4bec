"""API keys: what they look like. Whoever sets a machine up makes the first one; the gateway recognises it.

    wl_<id: 12>_<secret: 32>_<checksum: 6>

The id may be shown. The checksum tells a mistyped key from an unknown one without asking the database. The secret has
160 random bits.
"""

import secrets
import zlib

_PREFIX = "wl"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_key() -> str:
    """Return a new key."""
    body = f"{_PREFIX}_{_random(12)}_{_random(32)}"
    return f"{body}_{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Say whether the key's form and checksum are right. Says nothing of whether it exists."""
    body, _, checksum = key.rpartition("_")
    prefix, *rest = body.split("_")
    right = secrets.compare_digest(_checksum(body).encode(), checksum.encode())
    return prefix == _PREFIX and len(rest) == 2 and right  # noqa: PLR2004 - id and secret


def key_id(key: str) -> str:
    """Return the part of a well-formed key that may be shown."""
    return key.split("_")[1]


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(25, -5, -5))
