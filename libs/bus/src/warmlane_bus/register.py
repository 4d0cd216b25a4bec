"""The register of a job: who holds it and how it ended. First record wins; a loser reads it and obeys.

    write(record, after=seq)  ──►  Written   the record is the job's last one, by this or an earlier try
                              ├─►  Lost      another record came first; here it is
                              └─►  Undecided the broker is away: it may be stored, or still become so

Every write is conditioned on the sequence of the record before it, so of any number of writers exactly one gets
through, whatever their clocks say and however often they retry. A record carries an id that is new for each write, so
a writer whose answer got lost recognises its own record.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast, get_args

from warmlane_contracts.envelope import Envelope, decode, encode
from warmlane_contracts.messages import Message as AnyMessage
from warmlane_contracts.messages import StateRecord
from warmlane_contracts.topology import STATE_STREAM, state_subject
from warmlane_runtime.clock import Clock, SystemClock

from warmlane_bus.ports import Bus, BusUnavailable, Stored


@dataclass(frozen=True, slots=True)
class Held:
    """The last record of a job. `seq` conditions the next write (of a `Claimed`: it is the term); `time` is the broker's."""

    seq: int
    time: datetime
    record: StateRecord
    envelope: Envelope[AnyMessage]


@dataclass(frozen=True, slots=True)
class Written:
    """Our record stands at `seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Our record was not stored. `held` is the record that stands; None when the register turned out empty."""

    held: Held | None


@dataclass(frozen=True, slots=True)
class Undecided:
    """No answer. Go on as a holder would (the next write is conditioned too), but tell nobody that it is done."""

    reason: str = ""


WriteOutcome = Written | Lost | Undecided


class StateRegister:
    """Reads and writes the registers of all jobs, over any bus."""

    def __init__(self, bus: Bus, *, source: str, clock: Clock | None = None) -> None:
        """Write as `source` (a service's name), stamped by `clock`. The broker's own stamp is the one that decides."""
        self._bus = bus
        self._source = source
        self._clock = clock or SystemClock()

    async def read(self, lane: str, job_id: str) -> Held | None:
        """Return the last record, from the leader; None when there is none. Raise `BusUnavailable`."""
        message = await self._bus.last(STATE_STREAM, state_subject(lane, job_id))
        if message is None:
            return None
        envelope = decode(message.data)
        if not isinstance(envelope.data, get_args(StateRecord)):
            raise TypeError(f"{message.subject} holds a {envelope.type}, which is no state record")
        return Held(message.seq, message.time, cast("StateRecord", envelope.data), envelope)

    async def write(
        self,
        record: StateRecord,
        *,
        after: int,
        traceparent: str,
        correlation_id: str,
        causation_id: str | None = None,
        within_s: float = 15.0,
    ) -> WriteOutcome:
        """Store `record` if `after` is the sequence of the job's last record (0: it has none).

        `record.record_id` must be new: two records with one id count as one.
        """
        envelope: Envelope[AnyMessage] = Envelope(
            id=record.record_id,
            type=record.TYPE,
            source=self._source,
            time=self._clock.now(),
            subject=record.job_id,
            traceparent=traceparent,
            correlation_id=correlation_id,
            causation_id=causation_id,
            data=record,
        )
        outcome = await self._bus.publish(
            state_subject(record.lane, record.job_id),
            encode(envelope),
            message_id=record.record_id,
            expect_last_seq=after,
            headers={"traceparent": traceparent} if traceparent else None,
            within_s=within_s,
        )
        if isinstance(outcome, Stored):
            return Written(outcome.seq)
        return await self._settle(record, after)

    async def _settle(self, record: StateRecord, after: int) -> WriteOutcome:
        """Decide a conflict or an unknown outcome by what the register says now."""
        try:
            held = await self.read(record.lane, record.job_id)
        except BusUnavailable as away:
            return Undecided(str(away))
        if held is not None and held.record.record_id == record.record_id:
            return Written(held.seq)
        if (held.seq if held else 0) == after:
            # Not stored as far as can be seen; a try that is still on its way may yet be.
            return Undecided("the register has not changed; an earlier try may still arrive")
        return Lost(held)
