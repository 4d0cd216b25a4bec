"""Forgetting what nobody asks for any more."""

import asyncio

import structlog
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.diagnostics import Diagnostics
from warmlane_gateway.adapters.sessions import Sessions
from warmlane_gateway.adapters.tasks import Tasks

log = structlog.get_logger(__name__)

_EVERY_S = 3600.0
_DAY_S = 24 * 3600.0
_DIAGNOSTICS_S = 30 * _DAY_S
_DELETIONS_S = 7 * _DAY_S
"""A console that was away for longer reads everything anew."""


class Retention:
    """Once an hour. Every gateway does it; twice is as good as once."""

    def __init__(self, *, diagnostics: Diagnostics, tasks: Tasks, sessions: Sessions) -> None:
        self._diagnostics = diagnostics
        self._tasks = tasks
        self._sessions = sessions

    async def run(self) -> None:
        """Forget for ever."""
        while True:
            try:
                await self._diagnostics.forget(older_than_s=_DIAGNOSTICS_S)
                await self._tasks.forget_deleted(older_than_s=_DELETIONS_S)
                await self._sessions.forget()
            except PASSING as away:
                log.warning("gateway.retention_paused", reason=repr(away))
            await asyncio.sleep(_EVERY_S)
