"""Who is asking, and how a key is recognised without being kept: only its sha256 is stored. A key's secret has 160 random
bits, so the hash needs neither salt nor stretching.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. `owner` is what tasks belong to; an `operator` may decide about lanes and read diagnostics."""

    key_id: str
    name: str
    operator: bool = False

    @property
    def owner(self) -> str:
        """The owner of what this caller makes."""
        return self.key_id


def key_hash(key: str) -> bytes:
    """Return what is stored instead of the key."""
    return hashlib.sha256(key.encode()).digest()
