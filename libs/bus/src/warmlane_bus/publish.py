"""The publish envelope: one message id, several tries, one outcome.

| the broker says | it means | we do |
|---|---|---|
| an ack, duplicate or not | stored, now or by an earlier try | `Stored` |
| 400, wrong last sequence | the condition failed, perhaps by our own earlier try | `Conflict` |
| 503, "maximum messages/bytes …" | the stream is full | `Full` (`Unknown` if an earlier try may have been stored) |
| 503 of another kind, 5xx, 409 | a store failure, an election, the same id in flight | try again |
| nobody there | no leader at the moment, or no such stream | try again |
| nothing | unknown | try again under the same id |
| any other 4xx | set up wrong | raise `BusMisconfigured` |

Nothing is locked across an ack: concurrent publishes share the connection and the broker's group commit.
"""

import json
from dataclasses import dataclass

import structlog

from warmlane_bus.connection import Connection, NoAnswerError, NobodyThereError, NotSentError
from warmlane_bus.jetstream import ApiError, error_in
from warmlane_bus.patience import Patience
from warmlane_bus.ports import BusMisconfigured, Conflict, Full, PublishOutcome, Stored, Unknown
from warmlane_bus.subject import checked

log = structlog.get_logger(__name__)

MESSAGE_ID = "Nats-Msg-Id"
EXPECT_LAST = "Nats-Expected-Last-Subject-Sequence"

_WRONG_LAST_SEQUENCE = {10071, 10164}
_STORE_FAILED = 10077
_CONFLICT_STATUS = 409
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class _Again:
    """This try settled nothing. `uncertain`: it may have been stored all the same."""

    reason: str
    uncertain: bool


class Publisher:
    """Publishes over one connection."""

    def __init__(self, connection: Connection) -> None:
        """Publish over `connection`."""
        self._connection = connection

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str | None,
        expect_last_seq: int | None = None,
        headers: dict[str, str] | None = None,
        within_s: float = 15.0,
    ) -> PublishOutcome:
        """Store a message and say what became of it; see the table above."""
        checked(subject)
        sent = dict(headers or {})
        if message_id is not None:
            sent[MESSAGE_ID] = message_id
        if expect_last_seq is not None:
            sent[EXPECT_LAST] = str(expect_last_seq)
        patience = Patience(self._connection, within_s)
        uncertain = False
        while True:
            outcome = await self._try(subject, data, sent, patience.try_s)
            if isinstance(outcome, _Again):
                uncertain = uncertain or outcome.uncertain
                if await patience.again():
                    continue
                log.warning("bus.publish_unknown", subject=subject, message_id=message_id, reason=outcome.reason)
                return Unknown(outcome.reason, maybe_stored=uncertain)
            if isinstance(outcome, Full) and uncertain:
                # An earlier try may be among the messages that fill it; a refusal would then be a lie.
                return Unknown(outcome.reason)
            return outcome

    async def _try(
        self, subject: str, data: bytes, headers: dict[str, str], timeout_s: float
    ) -> Stored | Conflict | Full | _Again:
        try:
            answer = await self._connection.request(subject, data, headers=headers, timeout_s=timeout_s)
        except NotSentError:
            return _Again("not connected to the broker", uncertain=False)
        except NobodyThereError:
            return _Again(f"no stream takes {subject}, or it has no leader at the moment", uncertain=False)
        except NoAnswerError as unanswered:
            return _Again(str(unanswered), uncertain=True)
        ack = json.loads(answer.data)
        refused = error_in(ack)
        if refused is not None:
            return _classify(subject, refused)
        return Stored(ack["seq"], bool(ack.get("duplicate", False)))


def _classify(subject: str, error: ApiError) -> Conflict | Full | _Again:
    """Return what an error means for the one who publishes."""
    if error.err_code in _WRONG_LAST_SEQUENCE:
        return Conflict()
    if error.err_code == _STORE_FAILED and error.description.startswith("maximum "):
        return Full(error.description)
    if error.code >= _SERVER_FAULT or error.code == _CONFLICT_STATUS:
        return _Again(str(error), uncertain=False)
    raise BusMisconfigured(f"publish to {subject} refused: {error}; compare with `python -m warmlane_bus check`")
