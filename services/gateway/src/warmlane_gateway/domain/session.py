"""A person's way in: a link that works once, then a session. Both are random tokens of which only the sha256 is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from warmlane_gateway.domain.apikey import Caller

COOKIE = "gg_session"
LINK_LIVES = timedelta(minutes=15)
SESSION_LIVES = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in, and until when."""

    caller: Caller
    expires_at: datetime


def new_token() -> str:
    """Return a token nobody can guess: 256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Return what is stored instead of the token."""
    return hashlib.sha256(token.encode()).digest()
