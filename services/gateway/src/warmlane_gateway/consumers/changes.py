"""Which tasks have just changed, in any replica: PostgreSQL's notifications, passed on to whoever watches.

A watcher gets a signal and reads the row. Signals merge while a watcher is busy, and a lost connection signals
everybody, so that a watcher may read too often but never too seldom. Who watches all tasks is told which have changed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import structlog
from warmlane_storage.postgres import UNAVAILABLE, Postgres

log = structlog.get_logger(__name__)

_CHANNEL = "task_changes"
_PAUSE_S = 0.5
_ALIVE_S = 10.0


@dataclass(slots=True)
class Changed:
    """The tasks that have changed since `take`, or that any may have."""

    some: asyncio.Event = field(default_factory=asyncio.Event)
    task_ids: set[str] = field(default_factory=set)
    missed: bool = False

    def take(self) -> tuple[set[str], bool]:
        """Return the changed tasks, and whether others may have changed unseen; and begin anew."""
        taken = self.task_ids, self.missed
        self.task_ids, self.missed = set(), False
        self.some.clear()
        return taken


class Changes:
    """Listens once for the whole process. `run` must be running."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._watch_all: dict[int, Changed] = {}

    @contextmanager
    def watch(self, task_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set after every change of the task inside the block. Clear it before reading."""
        changed = asyncio.Event()
        self._watchers[task_id].add(changed)
        try:
            yield changed
        finally:
            self._watchers[task_id].discard(changed)
            if not self._watchers[task_id]:
                del self._watchers[task_id]

    @contextmanager
    def watch_all(self) -> Iterator[Changed]:
        """Collect every change of any task inside the block."""
        changed = Changed()
        self._watch_all[id(changed)] = changed
        try:
            yield changed
        finally:
            del self._watch_all[id(changed)]

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                await self._listen()
            except UNAVAILABLE as away:
                log.warning("gateway.listening_again", reason=repr(away))
            await asyncio.sleep(_PAUSE_S)

    async def _listen(self) -> None:
        connection = await self._postgres.listener()
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, lambda *notified: self._changed(str(notified[3])))
            self._all_changed()  # what happened while nobody listened
            while not connection.is_closed():
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), _ALIVE_S)
                await connection.execute("select 1", timeout=_ALIVE_S)  # a half-open connection hears nothing
        finally:
            with suppress(*UNAVAILABLE):
                await connection.close(timeout=1)

    def _changed(self, task_id: str) -> None:
        for watcher in self._watchers.get(task_id, ()):
            watcher.set()
        for changed in self._watch_all.values():
            changed.task_ids.add(task_id)
            changed.some.set()

    def _all_changed(self) -> None:
        for task_id in list(self._watchers):
            self._changed(task_id)
        for changed in self._watch_all.values():
            changed.missed = True
            changed.some.set()
