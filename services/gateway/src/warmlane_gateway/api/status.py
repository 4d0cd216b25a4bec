"""A task's status with what is not in its row: its place in the queue."""

import asyncio
from contextlib import suppress

from warmlane_jobs.task import TaskStatus

from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.api.views import TaskView, task_view
from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.domain.task import Task

_SETTLE_S = 2.0


async def with_queue(task: Task, tasks: Tasks, lanes: Lanes) -> TaskView:
    """Return the task's view; a waiting one gets its position and an estimate."""
    if task.state.status is not TaskStatus.PENDING:
        return task_view(task)
    position = await tasks.waiting_before(task)
    return task_view(task, queue_position=position, eta_s=lanes.eta_s(task, position))


async def settled(task: Task, tasks: Tasks, changes: Changes) -> Task:
    """Return the task once its row has caught up with an end that the register already holds, or after two seconds."""
    with changes.watch(task.task_id) as changed, suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE_S):
            while True:
                task = await tasks.get(task.task_id, task.owner) or task
                if task.state.status.ended:
                    break
                await changed.wait()
                changed.clear()
    return task
