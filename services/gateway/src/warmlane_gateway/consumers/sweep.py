"""Deleting objects that nothing refers to: those of deleted tasks, and what attempts left that lost or were killed.

A crash between row and object leaves the key in the trash, not an orphan. A folder is looked through some time after its
task has ended, when nobody writes into it any more.
"""

import asyncio

import structlog
from warmlane_storage.objects import ObjectStore, StoreUnavailable
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.leftovers import Leftover, Leftovers
from warmlane_gateway.adapters.trash import Trash

log = structlog.get_logger(__name__)

_EVERY_S = 2.0
_BATCH = 100


class Sweep:
    """Empties the trash, and looks through the folders of ended tasks `settle_s` after their end."""

    def __init__(self, objects: ObjectStore, trash: Trash, leftovers: Leftovers, *, settle_s: float) -> None:
        self._objects = objects
        self._trash = trash
        self._leftovers = leftovers
        self._settle_s = settle_s

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self._empty_trash()
                await self._look_through()
            except (StoreUnavailable, *PASSING) as away:
                log.warning("gateway.sweep_paused", reason=repr(away))
            await asyncio.sleep(_EVERY_S)

    async def _empty_trash(self) -> None:
        keys = await self._trash.some(_BATCH)
        await asyncio.gather(*(self._empty(key) for key in keys))
        if keys:
            await self._trash.forget(keys)
            log.info("gateway.swept", keys=len(keys))

    async def _empty(self, key: str) -> None:
        found = [info.key for info in await self._objects.list(key)] if key.endswith("/") else [key]
        await asyncio.gather(*(self._objects.delete(one) for one in found))

    async def _look_through(self) -> None:
        due = await self._leftovers.due(older_than_s=self._settle_s, limit=_BATCH)
        await asyncio.gather(*(self._clear(leftover) for leftover in due))
        if due:
            await self._leftovers.forget(due)

    async def _clear(self, leftover: Leftover) -> None:
        orphans = [info.key for info in await self._objects.list(leftover.folder) if info.key not in leftover.keep]
        await asyncio.gather(*(self._objects.delete(key) for key in orphans))
        if orphans:
            log.info("gateway.orphans_swept", task_id=leftover.task_id, keys=len(orphans))
