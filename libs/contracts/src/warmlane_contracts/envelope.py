"""The envelope every message travels in, and the only place where messages become bytes.

Modelled on CloudEvents: who says what, when, about which subject, and which trace and cause it belongs to. The `type`
names the shape of `data` and its version; a reader that does not know a type says so instead of guessing.
"""

from datetime import UTC, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationError

from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import MESSAGES, Message

D = TypeVar("D", bound=Message)


class Envelope(BaseModel, Generic[D]):
    """One message on its way. `time` is UTC; `traceparent` is W3C; `causation_id` is the id of the message before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str
    source: str
    time: datetime
    subject: str
    traceparent: str = ""
    correlation_id: str = ""
    causation_id: str | None = None
    data: SerializeAsAny[D]


class UnknownMessageError(ValueError):
    """The bytes are no message of ours: not JSON, an unknown type, or a shape its type does not have."""


class _Header(BaseModel):
    type: str


def seal(
    message: D,
    *,
    source: str,
    subject: str,
    traceparent: str = "",
    correlation_id: str = "",
    causation_id: str | None = None,
    at: datetime | None = None,
) -> Envelope[D]:
    """Return the message in a new envelope with an id of its own, dated `at` (now, unless given)."""
    return Envelope(
        id=new_ulid(),
        type=message.TYPE,
        source=source,
        time=at or datetime.now(UTC),
        subject=subject,
        traceparent=traceparent,
        correlation_id=correlation_id,
        causation_id=causation_id,
        data=message,
    )


def encode(envelope: Envelope[D]) -> bytes:
    """Return the envelope as JSON, UTF-8. Equal envelopes give equal bytes."""
    return envelope.model_dump_json(exclude_none=True).encode()


def decode(raw: bytes) -> Envelope[Message]:
    """Return the envelope in `raw`, its data in the class its type names; raise `UnknownMessageError` otherwise."""
    try:
        kind = _Header.model_validate_json(raw).type
        return _readers[kind].model_validate_json(raw)
    except KeyError as unknown:
        message = f"message type {unknown.args[0]!r} is not known here"
        raise UnknownMessageError(message) from unknown
    except ValidationError as bad:
        message = f"not a valid message: {bad.error_count()} errors, first {bad.errors(include_input=False)[0]}"
        raise UnknownMessageError(message) from bad


_readers: dict[str, type[Envelope[Message]]] = {kind: Envelope[cls] for kind, cls in MESSAGES.items()}  # type: ignore[valid-type]  # a class per type, made once
