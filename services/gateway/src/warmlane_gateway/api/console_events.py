"""Everything a console shows that changes by itself, as one stream of server-sent events: a browser allows six to a host,
so one per tab and not one per task.

    id: 4711.93         the newest change and the newest diagnostic told so far: durable, the same in every replica
    event: snapshot     first, always: unfinished and newest tasks, lanes, and what was deleted since `Last-Event-ID`
    event: task         a task, whole, after every change of it; a waiting one also when its place moves
    event: task_deleted
    event: lanes        all lanes, whole, when anything about them changed; at most once a second
    event: diagnostic   for operators
    event: bye          this gateway stops, the stream is a quarter of an hour old, or its key or session has ended: come
                        back, to another gateway perhaps

Each event holds a whole state, so telling one twice does no harm, and a snapshot mends whatever was missed.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel
from warmlane_jobs.task import TaskStatus

from warmlane_gateway.adapters.diagnostics import DiagnosticFilter
from warmlane_gateway.api.status import with_queue
from warmlane_gateway.api.views import (
    ConsoleSnapshot,
    DeletedTask,
    DiagnosticView,
    LanesView,
    TaskView,
    diagnostic_view,
    lanes_view,
)
from warmlane_gateway.api.wired import Wired
from warmlane_gateway.consumers.changes import Changed
from warmlane_gateway.domain.apikey import Caller

_NEWEST, _UNFINISHED, _DELETED, _DIAGNOSTICS = 30, 200, 500, 100
_TOGETHER_S = 0.1
"""Changes so close to each other are told together: a burst of progress costs one query."""
_LOOK_S = 1.0
_PLACES_S = 2.0
_QUIET_S = 10.0
_LONGEST_S = 900.0
_ALLOWED_S = 5.0
"""How often it is asked whether the key or session still holds."""
_UNCOMMITTED = 1000
"""A change gets its number before it is committed: a resume goes back by as many as may have been on their way."""


_EVENT_ID = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a console has read."""

    change: int = 0
    diagnostic: int = 0

    @classmethod
    def parse(cls, event_id: str) -> "Position":
        """Return the position an event's id stands for; the beginning, for what is no id of ours."""
        match = _EVENT_ID.fullmatch(event_id)
        return cls(int(match[1]), int(match[2])) if match else cls()

    def __str__(self) -> str:
        return f"{self.change}.{self.diagnostic}"


class ConsoleEvents(BaseModel):
    """The data of each event, by the event's name."""

    snapshot: ConsoleSnapshot
    task: TaskView
    task_deleted: DeletedTask
    lanes: LanesView
    diagnostic: DiagnosticView


class ConsoleFeed:
    """One console's stream."""

    def __init__(
        self,
        parts: Wired,
        caller: Caller,
        *,
        resumed: Position | None,
        gone: Callable[[], Awaitable[bool]],
        allowed: Callable[[], Awaitable[bool]],
    ) -> None:
        self._parts = parts
        self._caller = caller
        self._resumed = resumed
        self._gone = gone
        self._allowed = allowed
        self._at = resumed or Position()
        self._places: dict[str, int | None] = {}
        self._lanes: LanesView | None = None

    async def run(self) -> AsyncIterator[bytes]:
        """Yield the events until the console leaves."""
        yield b"retry: 1000\n\n"
        began = spoke = places = asked = time.monotonic()
        with self._parts.changes.watch_all() as changed:
            yield await self._snapshot()
            while time.monotonic() - began < _LONGEST_S and not self._parts.stopping():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await changed.some.wait()
                await asyncio.sleep(_TOGETHER_S)
                if await self._gone():
                    return
                if time.monotonic() - asked >= _ALLOWED_S:
                    if not await self._allowed():
                        break
                    asked = time.monotonic()
                due = time.monotonic() - places >= _PLACES_S
                places = time.monotonic() if due else places
                said = [event async for event in self._news(changed, places_too=due)]
                if said:
                    yield b"".join(said)
                    spoke = time.monotonic()
                elif time.monotonic() - spoke >= _QUIET_S:
                    yield b": alive\n\n"
                    spoke = time.monotonic()
        yield b"event: bye\ndata: {}\n\n"

    async def _snapshot(self) -> bytes:
        parts, owner = self._parts, self._caller.owner
        change = await parts.tasks.newest_change()
        tasks = await parts.tasks.unfinished_and_newest(owner, unfinished=_UNFINISHED, newest=_NEWEST)
        deleted: list[str] = []
        if self._resumed is not None:
            since = max(0, self._resumed.change - _UNCOMMITTED)
            deleted = list(await parts.tasks.deleted_since(owner, since, limit=_DELETED))
        told = await self._diagnostics(after=None)
        self._at = Position(change, told[0].id if told else self._at.diagnostic)
        self._lanes = lanes_view(parts.lanes)
        views = [await with_queue(task, parts.tasks, parts.lanes) for task in tasks]
        self._places = {view.task_id: view.queue_position for view in views if view.status is TaskStatus.PENDING}
        return self._event(
            "snapshot", ConsoleSnapshot(tasks=views, deleted=deleted, lanes=self._lanes, diagnostics=told)
        )

    async def _news(self, changed: Changed, *, places_too: bool) -> AsyncIterator[bytes]:
        task_ids, missed = changed.take()
        if missed:
            yield await self._snapshot()
            return
        for view in await self._changed_tasks(task_ids, places_too=places_too):
            self._at = Position(max(self._at.change, view.change), self._at.diagnostic)
            yield self._event("task", view)
            task_ids.discard(view.task_id)
        for task_id in await self._gone_tasks(task_ids):
            yield self._event("task_deleted", DeletedTask(task_id=task_id))
        lanes = lanes_view(self._parts.lanes)
        if lanes != self._lanes:
            self._lanes = lanes
            yield self._event("lanes", lanes)
        for diagnostic in reversed(await self._diagnostics(after=self._at.diagnostic)):
            self._at = Position(self._at.change, diagnostic.id)
            yield self._event("diagnostic", diagnostic)

    async def _changed_tasks(self, task_ids: set[str], *, places_too: bool) -> list[TaskView]:
        waiting = set(self._places) if places_too else set()
        wanted = task_ids | waiting
        if not wanted:
            return []
        views = []
        for task in await self._parts.tasks.some(list(wanted), self._caller.owner):
            view = await with_queue(task, self._parts.tasks, self._parts.lanes)
            moved = self._places.get(view.task_id) != view.queue_position
            if view.status is TaskStatus.PENDING:
                self._places[view.task_id] = view.queue_position
            else:
                self._places.pop(view.task_id, None)
            if moved or view.task_id in task_ids:
                views.append(view)
        return views

    async def _gone_tasks(self, task_ids: set[str]) -> list[str]:
        """Those that changed, are not there, and were this owner's."""
        if not task_ids:
            return []
        for task_id in task_ids:
            self._places.pop(task_id, None)
        return list(await self._parts.tasks.deleted_of(list(task_ids), self._caller.owner))

    async def _diagnostics(self, *, after: int | None) -> list[DiagnosticView]:
        if not self._caller.operator:
            return []
        found = await self._parts.diagnostics.list(DiagnosticFilter(after=after, limit=_DIAGNOSTICS))
        return [diagnostic_view(row) for row in found]

    def _event(self, name: str, data: BaseModel) -> bytes:
        return f"id: {self._at}\nevent: {name}\ndata: {data.model_dump_json()}\n\n".encode()
