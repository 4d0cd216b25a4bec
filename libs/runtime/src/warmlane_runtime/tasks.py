"""Background tasks that must not end unseen.

A task is started with a name and a promise: `forever` (it should never end; if it does, by returning or by raising, that
is a fault and the service stops with exit code 1) or not (it may return, but an exception is still a fault). A silent
dead consumer is the worst failure a queue worker can have: everything looks healthy and nothing happens.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class TaskFaultError(Exception):
    """A guarded task ended that should not have. The cause is what it raised, if anything."""


class Tasks:
    """The named background tasks of one service."""

    def __init__(self) -> None:
        """Hold no task. `fault` resolves with the first `TaskFaultError`; it never resolves in a healthy service."""
        self._running: set[asyncio.Task[Any]] = set()
        self._fault: TaskFaultError | None = None
        self._faulted = asyncio.Event()
        self._stopping = False
        self._draining = False

    @property
    def names(self) -> list[str]:
        """Return the names of the tasks that run, sorted."""
        return sorted(task.get_name() for task in self._running)

    @property
    def fault(self) -> TaskFaultError | None:
        """Return the first fault, None while all is well."""
        return self._fault

    async def wait_fault(self) -> TaskFaultError:
        """Return the first fault as soon as there is one."""
        await self._faulted.wait()
        assert self._fault is not None  # noqa: S101 - set before the event
        return self._fault

    def spawn(self, name: str, work: Coroutine[Any, Any, Any], *, forever: bool = True) -> asyncio.Task[Any]:
        """Run `work` guarded under `name`. After `stop` nothing starts any more: the coroutine is closed, unrun."""
        if self._stopping:
            work.close()
            message = f"task {name!r} was started after the tasks were stopped"
            raise RuntimeError(message)
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(done, forever=forever))
        return task

    def drain(self) -> None:
        """From now on a task may return: it was told to take nothing new. An exception is still a fault."""
        self._draining = True

    async def stop(self) -> None:
        """Cancel all tasks and return when none runs. Safe to call twice."""
        self._stopping = True
        while self._running:
            for task in self._running:
                task.cancel()
            # A task may swallow the first cancellation (a client library's own handler): ask again until it is gone.
            await asyncio.wait(self._running, timeout=1.0)

    def _ended(self, task: asyncio.Task[Any], *, forever: bool) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if self._stopping or (error is None and (self._draining or not forever)):
            return
        fault = TaskFaultError(f"task {task.get_name()!r} {'failed' if error else 'ended'}, but should run for ever")
        fault.__cause__ = error
        log.error("runtime.task_faulted", task=task.get_name(), error=repr(error) if error else None, exc_info=error)
        if self._fault is None:
            self._fault = fault
            self._faulted.set()
