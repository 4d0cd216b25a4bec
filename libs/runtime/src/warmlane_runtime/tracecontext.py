"""W3C trace context: which trace this work belongs to, carried over HTTP and over the broker.

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    version  trace id                    span id          flags: 1 sampled, 2 trace id is random (level 2)

A header we cannot read starts a new trace instead of failing the request, as the specification asks
(https://www.w3.org/TR/trace-context-2/).
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

SAMPLED = 0x01
RANDOM = 0x02

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KNOWN_FLAGS = SAMPLED | RANDOM

Randomness = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: the trace, the span that is the parent of what comes next, and its flags."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED | RANDOM

    @property
    def sampled(self) -> bool:
        """Say whether whoever started the trace records it."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """Return the header's value, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & _KNOWN_FLAGS:02x}"

    def child(self, randomness: Randomness = os.urandom) -> "TraceContext":
        """Return a new span of the same trace."""
        return TraceContext(self.trace_id, _hex(8, randomness), self.flags)


def new_trace(randomness: Randomness = os.urandom, *, sampled: bool = True) -> TraceContext:
    """Return the root of a new trace."""
    return TraceContext(_hex(16, randomness), _hex(8, randomness), RANDOM | (SAMPLED if sampled else 0))


def parse_traceparent(header: str | None) -> TraceContext | None:
    """Return what `header` says, or None when it is missing or not valid.

    Flags we do not know are dropped, never refused; a version above 00 is read by the rules of 00, as specified.
    """
    match = _FORM.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS)


def continue_trace(header: str | None, randomness: Randomness = os.urandom) -> TraceContext:
    """Return a new span: of the trace `header` names, or of a new trace."""
    parent = parse_traceparent(header)
    return new_trace(randomness) if parent is None else parent.child(randomness)


def _hex(size: int, randomness: Randomness) -> str:
    """Return `size` random bytes in hexadecimal, never all zero (an all-zero id is invalid)."""
    while True:
        value = randomness(size)
        if any(value):
            return value.hex()
