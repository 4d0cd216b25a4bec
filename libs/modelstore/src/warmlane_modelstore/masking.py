"""Keeping secrets out of every output: errors, logs, progress, records and JSON.

Two nets. Values that were read as credentials are replaced wherever they appear; and a URL's query is cut, known or
not, because a presigned URL is a secret in itself and may come back in an error of the other side.
"""

import re
import threading

MASK = "***"
_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]*")
_USERINFO = re.compile(r"(https?://)[^/\s@]+@")
# Shorter values would mask half of an error message; no credential worth the name is that short.
_SHORTEST = 6


class Masker:
    """Knows the secrets of this process. Thread-safe; secrets are only ever added."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._lock = threading.Lock()

    def learn(self, *secrets: str | None) -> None:
        with self._lock:
            self._secrets.update(secret for secret in secrets if secret and len(secret) >= _SHORTEST)

    def mask(self, text: str) -> str:
        """`text` without any secret this process has read, and without URL queries and user names."""
        with self._lock:
            secrets = sorted(self._secrets, key=len, reverse=True)
        for secret in secrets:
            text = text.replace(secret, MASK)
        return _USERINFO.sub(rf"\1{MASK}@", _QUERY.sub(rf"\1?{MASK}", text))
