"""Deleting the objects of deleted tasks. A crash between row and object leaves the key in the trash, not an orphan."""

import asyncio

import structlog
from warmlane_storage.objects import ObjectStore, StoreUnavailable
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.trash import Trash

log = structlog.get_logger(__name__)

_EVERY_S = 2.0
_BATCH = 100


class Sweep:
    """Empties the trash."""

    def __init__(self, objects: ObjectStore, trash: Trash) -> None:
        self._objects = objects
        self._trash = trash

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                keys = await self._trash.some(_BATCH)
                await asyncio.gather(*(self._empty(key) for key in keys))
                if keys:
                    await self._trash.forget(keys)
                    log.info("gateway.swept", keys=len(keys))
            except (StoreUnavailable, *PASSING) as away:
                log.warning("gateway.sweep_paused", reason=repr(away))
            await asyncio.sleep(_EVERY_S)

    async def _empty(self, key: str) -> None:
        found = [info.key for info in await self._objects.list(key)] if key.endswith("/") else [key]
        await asyncio.gather(*(self._objects.delete(one) for one in found))
