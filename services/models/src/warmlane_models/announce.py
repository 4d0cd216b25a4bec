"""Telling the rest of Warmlane about models. Facts are safe to miss: a broker that is away never holds up a download."""

import structlog
from warmlane_bus.ports import Bus, BusMisconfigured, Stored
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import Message
from warmlane_contracts.topology import event_subject

log = structlog.get_logger(__name__)

SUBJECT = event_subject("models", "model")
_WITHIN_S = 5.0


class Announcer:
    """Publishes facts about models from one node."""

    def __init__(self, bus: Bus, *, source: str) -> None:
        self._bus = bus
        self._source = source

    async def tell(self, message: Message) -> None:
        """Publish once, with a little patience; what cannot be published is logged and forgotten."""
        envelope = seal(message, source=self._source, subject=SUBJECT)
        try:
            outcome = await self._bus.publish(SUBJECT, encode(envelope), message_id=envelope.id, within_s=_WITHIN_S)
        except BusMisconfigured as wrong:
            log.warning("models.fact_refused", type=message.TYPE, reason=str(wrong))
            return
        if not isinstance(outcome, Stored):
            log.warning("models.fact_not_stored", type=message.TYPE, outcome=type(outcome).__name__)
