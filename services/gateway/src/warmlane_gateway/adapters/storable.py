"""Workers' words as PostgreSQL takes them. A value it refused would stop the projector for good."""

from typing import TypeVar

T = TypeVar("T")


def storable(value: T) -> T:
    """Return the value with every NUL, of text at any depth, replaced by a sign that says so."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # type: ignore[return-value]  # a str for a str
    if isinstance(value, dict):
        return {storable(name): storable(one) for name, one in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [storable(one) for one in value]  # type: ignore[return-value]
    return value
