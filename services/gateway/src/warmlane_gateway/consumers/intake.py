"""Making tasks durable, many in one commit.

While one commit is on its way to the disk, the requests that arrive wait together and share the next. At one client
each has a commit to itself and waits for nobody; at many, the disk's flush is paid once for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from warmlane_gateway.domain.task import NewTask

_MOST = 200


class Intake:
    """Collects tasks and commits them in groups. `run` must be running."""

    def __init__(self, accept: Callable[[Sequence[NewTask]], Awaitable[None]]) -> None:
        self._accept = accept
        self._waiting: list[tuple[NewTask, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    async def __call__(self, task: NewTask) -> None:
        """Return when the task is durable; raise what the database raised when it is not."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((task, done))
        self._arrived.set()
        await done

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            await self._arrived.wait()
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            if not self._waiting:
                self._arrived.clear()
            await self._commit(group)

    async def _commit(self, group: list[tuple[NewTask, asyncio.Future[None]]]) -> None:
        try:
            await self._accept([task for task, _ in group])
        except Exception as failed:  # noqa: BLE001 - each waiter gets it
            for _, done in group:
                if not done.done():
                    done.set_exception(failed)
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)
