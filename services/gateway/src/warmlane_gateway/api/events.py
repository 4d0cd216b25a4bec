"""A task's status as server-sent events.

    retry: 1000
    id: 4711            the change number: durable, the same in every replica
    event: status
    data: {…}           the whole status, so that nothing has to be put together

A client that comes back with `Last-Event-ID` gets the present state if it has not seen it. A waiting task's place in the
queue changes without a change of its row, so it is looked at every two seconds, and told again to a client that comes
back: the place may have moved meanwhile. Comments keep proxies from closing a
quiet stream. After the event that ends the task the stream ends, and says so with `event: end`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from warmlane_jobs.task import TaskStatus

from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.api.status import with_queue
from warmlane_gateway.api.views import TaskView
from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.domain.task import Task

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

_QUIET_S = 10.0
_QUEUE_S = 2.0


async def status_events(
    task: Task,
    tasks: Tasks,
    lanes: Lanes,
    changes: Changes,
    *,
    seen: int,
    gone: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    """Yield the events of a task, from its present state to its end."""
    yield b"retry: 1000\n\n"
    position: int | None = None
    spoke = time.monotonic()
    with changes.watch(task.task_id) as changed:
        while True:
            changed.clear()
            current = await tasks.get(task.task_id, task.owner)
            if current is None:
                yield b"event: end\ndata: {}\n\n"
                return
            view = await with_queue(current, tasks, lanes)
            if view.change > seen or view.queue_position != position:
                seen, position, spoke = view.change, view.queue_position, time.monotonic()
                yield _event(view)
            elif time.monotonic() - spoke >= _QUIET_S:
                spoke = time.monotonic()
                yield b": alive\n\n"
            if view.status.ended:
                yield b"event: end\ndata: {}\n\n"
                return
            if await gone():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_QUEUE_S if view.status is TaskStatus.PENDING else _QUIET_S):
                    await changed.wait()


def _event(view: TaskView) -> bytes:
    return b"id: %d\nevent: status\ndata: %b\n\n" % (view.change, view.model_dump_json().encode())
