"""Cancel: a record in the job's register, conditioned on the one before (docs/adr/0005)."""

from contextlib import suppress

from warmlane_bus.ports import Bus, BusUnavailable
from warmlane_bus.register import Held, Lost, StateRegister, Written
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import TERMINAL, Cancelled
from warmlane_contracts.topology import WAIT_STREAM, cancel_hint_subject, wait_subject
from warmlane_jobs.task import TaskStatus

from warmlane_gateway.domain.task import Task

_TRIES = 5


class Cancel:
    """Cancels tasks."""

    def __init__(self, bus: Bus, register: StateRegister) -> None:
        self._bus = bus
        self._register = register

    async def __call__(self, task: Task, by: str, correlation_id: str, traceparent: str) -> None:
        """Return once the task is cancelled for good; again is fine. Raise `WarmlaneError` when it ended otherwise."""
        if task.state.status is TaskStatus.CANCELLED:
            return None
        for _ in range(_TRIES):
            held = await self._register.read(task.lane, task.job_id)
            if held is not None and isinstance(held.record, TERMINAL):
                return _judge_end(task, held)
            record = Cancelled(
                task_id=task.task_id, job_id=task.job_id, lane=task.lane, record_id=new_ulid(), by=by, reason="owner"
            )
            outcome = await self._register.write(
                record, after=held.seq if held else 0, traceparent=traceparent, correlation_id=correlation_id
            )
            match outcome:
                case Written():
                    await self._bus.hint(cancel_hint_subject(task.lane, task.job_id))
                    return await self._free_place(task)
                case Lost():
                    continue  # a claim or an end came between; look again
                case _:
                    break
        raise WarmlaneError(
            ErrorCode.DEPENDENCY_UNAVAILABLE,
            "The broker did not confirm the cancel; it may or may not have happened.",
            "Look at the task's status, and cancel again if it still runs.",
        )

    async def _free_place(self, task: Task) -> None:
        """Take the job from those that wait for a shared worker: its place is somebody else's now."""
        if not task.waits_for_shared:
            return
        with suppress(BusUnavailable):  # the broker forgets it by itself within its time
            waiting = await self._bus.last(WAIT_STREAM, wait_subject(task.lane, task.job_id))
            if waiting is not None:
                await self._bus.remove(WAIT_STREAM, waiting.seq)


def _judge_end(task: Task, held: Held) -> None:
    if not isinstance(held.record, Cancelled):
        raise WarmlaneError(
            ErrorCode.TASK_FINISHED,
            f"Task {task.task_id} has already ended.",
            "Nothing is left to cancel; see its status.",
        )
