"""What must never reach a log, an error or a metric, and how it is taken out.

Three nets, since each alone leaks: the name of a field (`api_key`, `password`, …), the value of a secret that was
registered at start-up wherever it shows up, and the credentials inside any URL.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from pydantic import SecretBytes, SecretStr

MASK = "***"
_SHORTEST_SECRET = 6
"""Shorter values are too likely to be ordinary words: masking them everywhere would ruin the log and hide little."""

_SECRET_NAME = re.compile(
    r"(^|[_\-.])(pass(word|wd|phrase)?|secret|token|api[_-]?key|(access|private)[_-]?key|credentials?|authorization|cookie"
    r"|dsn|bearer)([_\-.]|$)",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.\-]*://)[^\s/@\"']+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<scheme>bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}", re.IGNORECASE)


class Redactor:
    """Knows this process's secrets and masks them in anything that is about to be shown."""

    def __init__(self) -> None:
        """Start with no registered secret; names and URLs are masked all the same."""
        self._values: list[str] = []

    def register(self, *secrets: str | SecretStr | None) -> None:
        """Mask these values from now on, also where they are percent-encoded. Very short ones are ignored."""
        for secret in secrets:
            value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
            if value and len(value) >= _SHORTEST_SECRET:
                self._values += [form for form in {value, quote(value, safe="")} if form not in self._values]
        self._values.sort(key=len, reverse=True)  # the longest first, or a prefix of it would leave its tail visible

    def text(self, text: str) -> str:
        """Return `text` with registered values, URL credentials and authorization headers masked."""
        for value in self._values:
            text = text.replace(value, MASK)
        text = _URL_CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
        return _BEARER.sub(rf"\g<scheme> {MASK}", text)

    def value(self, value: object) -> object:
        """Return a copy of `value` that is safe to show and made of JSON types only."""
        match value:
            case None | bool() | int() | float():
                return value
            case SecretStr() | SecretBytes():
                return MASK
            case str():
                return self.text(str(value))
            case Mapping():
                return {self.text(str(key)): self.field(str(key), item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case _:
                return self.text(str(value))

    def field(self, name: str, value: object) -> object:
        """Return `value` as it may be shown under `name`."""
        if value is not None and not isinstance(value, bool | int | float) and _SECRET_NAME.search(name):
            return MASK
        return self.value(value)
