"""Ending what nobody ended: tasks whose gateway died while they were offered, and tasks that outlived their time.

    offered 31 s ago, still pending ─► the register has a record ─► leave it to the projector
                                    ─► the broker still offers it (it was published late) ─► leave it
                                    ─► Expired
    begun longer ago than its type may take ─► Failed(task_expired), conditioned on the last record

Every gateway does it; the register lets one of them win.
"""

import asyncio

import structlog
from warmlane_bus.ports import BusUnavailable
from warmlane_bus.register import StateRegister, Written
from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import TERMINAL, Claimed, Failed
from warmlane_contracts.topology import WAIT_S
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.domain.task import Task
from warmlane_gateway.metrics import STALE
from warmlane_gateway.usecases.offer import Offer, Offers

log = structlog.get_logger(__name__)

_EVERY_S = 1.0
_OVERDUE_S = WAIT_S + 1.0
_BATCH = 100


class Settle:
    """See the module. `longest_s` says how long a task of a type may take from its first claim."""

    def __init__(
        self,
        *,
        tasks: Tasks,
        offers: Offers,
        register: StateRegister,
        longest_s: dict[str, float],
    ) -> None:
        self._tasks = tasks
        self._offers = offers
        self._register = register
        self._longest_s = longest_s

    async def run(self) -> None:
        """Settle for ever."""
        while True:
            try:
                await self.settle()
            except (BusUnavailable, *PASSING) as away:
                log.warning("gateway.settle_paused", reason=repr(away))
            await asyncio.sleep(_EVERY_S)

    async def settle(self) -> None:
        """Look once."""
        for task in await self._tasks.overdue(older_than_s=_OVERDUE_S, limit=_BATCH):
            await self._expire(task)
        for type_, longest_s in self._longest_s.items():
            for task in await self._tasks.stale(type_, older_than_s=longest_s, limit=_BATCH):
                await self._fail(task, longest_s)

    async def _expire(self, task: Task) -> None:
        offer = offer_of(task)
        if await self._register.read(task.lane, task.job_id) is None and not await self._offers.still_waits(offer):
            await self._offers.expire(offer, WAIT_S)

    async def _fail(self, task: Task, longest_s: float) -> None:
        held = await self._register.read(task.lane, task.job_id)
        if held is None or isinstance(held.record, TERMINAL):
            return
        failed = Failed(
            task_id=task.task_id,
            job_id=task.job_id,
            lane=task.lane,
            record_id=new_ulid(),
            claim_seq=held.seq if isinstance(held.record, Claimed) else None,
            code=ErrorCode.TASK_EXPIRED,
            message=f"The task was not done {longest_s:g} s after it was begun. Submit it again; ask for a shorter clip.",
            attempt=task.state.attempt,
        )
        outcome = await self._register.write(
            failed, after=held.seq, traceparent=task.traceparent, correlation_id=task.correlation_id
        )
        if isinstance(outcome, Written):
            STALE.labels(task.lane).inc()
            log.error(
                "gateway.stale_task_failed", task_id=task.task_id, status=task.state.status, began=task.state.started_at
            )


def offer_of(task: Task) -> Offer:
    """Return the offer of a stored task, for ending it: the payload went with the outbox."""
    return Offer(task.task_id, task.job_id, task.lane, b"", task.traceparent, task.correlation_id)
