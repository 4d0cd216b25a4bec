"""What may be sent to: plain tokens only.

Client and server both accept `lane.*` as a literal subject to publish on, so an id that holds a wildcard would reach
everybody's messages. Every subject and key passes here before it reaches the wire.
"""

import re
from functools import lru_cache

from warmlane_bus.ports import BusMisconfigured

_TOKEN = r"[A-Za-z0-9_$-]{1,64}"  # noqa: S105 - a pattern, not a secret
_SUBJECT = re.compile(rf"{_TOKEN}(\.{_TOKEN})*")
_PATTERN = re.compile(rf"({_TOKEN}|\*)(\.({_TOKEN}|\*))*(\.>)?")


@lru_cache(maxsize=4096)
def checked(subject: str) -> str:
    """Return `subject` when each of its tokens is 1 to 64 letters, digits, `_`, `-` or `$`; raise `BusMisconfigured`."""
    if _SUBJECT.fullmatch(subject) is None:
        message = f"{subject[:200]!r} is no subject to send to: tokens are 1 to 64 of A-Z a-z 0-9 _ - $, joined by dots"
        raise BusMisconfigured(message)
    return subject


def checked_pattern(subject: str) -> str:
    """Return `subject` when it may be listened to; `*` and a last `>` are allowed."""
    if _PATTERN.fullmatch(subject) is None:
        message = f"{subject[:200]!r} is no subject to listen to"
        raise BusMisconfigured(message)
    return subject
