"""From the register and the events to the tasks' rows, their histories and the diagnostics.

Each batch is one transaction: lock the rows, apply `warmlane_jobs.task` in stream order, write, announce. A batch is
acknowledged after its commit, so a crash repeats it, and a repeated record changes nothing. While the database is away,
the batch is kept and tried again; nothing is skipped.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from warmlane_bus.ports import Bus, BusUnavailable, Delivery
from warmlane_contracts.envelope import UnknownMessageError, decode
from warmlane_contracts.messages import Message, TaskProgressed
from warmlane_contracts.messages.state import StateRecord
from warmlane_contracts.topology import EVENT_STREAM, PROJECTOR_EVENTS, PROJECTOR_STATE, STATE_STREAM
from warmlane_jobs.task import TaskState, record_progress, record_state
from warmlane_runtime.faults import fault_point
from warmlane_storage.postgres import PASSING, Postgres

from warmlane_gateway.adapters.diagnostics import store_diagnostics
from warmlane_gateway.adapters.history import store_history
from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.domain.diagnostic import Diagnostic, diagnostic_of
from warmlane_gateway.domain.timeline import Moment, moment_of_record, moment_of_stage
from warmlane_gateway.metrics import PROJECTED

log = structlog.get_logger(__name__)

_BATCH = 200
_FETCH_S = 5.0
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class _Fact:
    """What the broker delivered about a task."""

    delivery: Delivery
    event_id: str
    said: StateRecord | TaskProgressed

    @property
    def task_id(self) -> str:
        return self.said.task_id

    def apply(self, state: TaskState) -> TaskState:
        if isinstance(self.said, TaskProgressed):
            return record_progress(state, self.said, self.delivery.seq)
        return record_state(state, self.said, self.delivery.seq, self.delivery.time)

    def moments(self, state: TaskState) -> list[Moment]:
        """What it adds to the history of a task in this state: every record, and a report that begins a stage."""
        at = self.delivery.time
        if not isinstance(self.said, TaskProgressed):
            return [moment_of_record(self.said, event_id=self.event_id, at=at)]
        known = state.claim_seq == self.said.claim_seq and state.stage == self.said.stage
        return [] if known else [moment_of_stage(self.said, at=at)]


class Projector:
    """Projects one stream. Any number may run, here and in other replicas."""

    def __init__(self, *, bus: Bus, postgres: Postgres, tasks: Tasks, stream: str, durable: str) -> None:
        self._bus = bus
        self._postgres = postgres
        self._tasks = tasks
        self._stream = stream
        self._durable = durable

    @classmethod
    def both(cls, *, bus: Bus, postgres: Postgres, tasks: Tasks) -> "list[Projector]":
        """Return a projector for the register and one for the events."""
        return [
            cls(bus=bus, postgres=postgres, tasks=tasks, stream=stream, durable=durable)
            for stream, durable in ((STATE_STREAM, PROJECTOR_STATE), (EVENT_STREAM, PROJECTOR_EVENTS))
        ]

    @property
    def name(self) -> str:
        """Which one it is."""
        return self._durable

    async def run(self) -> None:
        """Project for ever."""
        pull = await self._bus.pull(self._stream, self._durable)
        while True:
            try:
                batch = await pull.fetch_many(_BATCH, _FETCH_S)
            except BusUnavailable as away:
                log.warning("gateway.projector_paused", stream=self._stream, reason=str(away))
                await asyncio.sleep(_PAUSE_S)
                continue
            if batch:
                await self._until_stored(batch)
                fault_point("projector.applied")
                await asyncio.gather(*(delivery.ack_soon() for delivery in batch))

    async def _until_stored(self, batch: Sequence[Delivery]) -> None:
        read = [(delivery, *found) for delivery in batch if (found := _read(delivery)) is not None]
        facts = [
            _Fact(delivery, event_id, said)
            for delivery, event_id, said in read
            if isinstance(said, StateRecord | TaskProgressed)
        ]
        diagnostics = [
            one
            for delivery, event_id, fact in read
            if (one := diagnostic_of(fact, event_id=event_id, at=delivery.time)) is not None
        ]
        while True:
            try:
                await self._store(facts, diagnostics)
            except PASSING as away:
                log.warning("gateway.projector_paused", stream=self._stream, reason=repr(away))
                await asyncio.sleep(_PAUSE_S)
            else:
                PROJECTED.labels(self._stream).inc(len(batch))
                return

    async def _store(self, facts: Sequence[_Fact], diagnostics: Sequence[Diagnostic]) -> None:
        if not facts and not diagnostics:
            return
        async with self._postgres.transaction() as connection:
            before = await self._tasks.states_for_update(connection, list({fact.task_id for fact in facts}))
            after = dict(before)
            moments: list[Moment] = []
            for fact in facts:
                if fact.task_id in after:
                    moments += fact.moments(after[fact.task_id])
                    after[fact.task_id] = fact.apply(after[fact.task_id])
            changed = {
                task_id: (before[task_id], state) for task_id, state in after.items() if state != before[task_id]
            }
            await self._tasks.store_states(connection, changed)
            await store_history(connection, moments)
            await store_diagnostics(connection, diagnostics)


def _read(delivery: Delivery) -> tuple[str, Message] | None:
    """Return the id and the fact of a delivery, None for one this gateway does not know."""
    try:
        envelope = decode(delivery.data)
    except UnknownMessageError as unknown:
        # A newer service may say things this one does not know; the row is built from what it does.
        log.warning("gateway.fact_not_understood", subject=delivery.subject, reason=str(unknown)[:200])
        return None
    return envelope.id, envelope.data
