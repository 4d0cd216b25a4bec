"""A part of a process that starts and stops.

    new ──start──► running ──stop──► draining ──► closed
     └──────────────stop───────────────────────────▲

Postcondition of `stop`: nothing of the part runs any more, however often and from wherever it was called, also when it
never started. `drain` is the soft half (finish what is claimed, take nothing new) and may be cut short; `close` is the
hard half and has to be quick.
"""

import asyncio
import contextlib
from enum import StrEnum


class Phase(StrEnum):
    """Where a part is in its life. Phases only ever move down this list."""

    NEW = "new"
    RUNNING = "running"
    DRAINING = "draining"
    CLOSED = "closed"


class Part:
    """Base of whatever lives long. Subclasses override `open`, `drain` and `close`; callers use `start` and `stop`."""

    def __init__(self) -> None:
        """Begin in `Phase.NEW`; nothing runs yet."""
        self.phase = Phase.NEW
        self._stopping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin the work. What it opened before it raised, `close` has to be able to close."""

    async def drain(self) -> None:
        """Take nothing new and finish what is in hand. May be cancelled at any await."""

    async def close(self) -> None:
        """End at once what still runs and give back what is held."""

    async def start(self) -> None:
        """Begin once; a second call does nothing. Raise `RuntimeError` on a part that was stopped."""
        if self.phase is Phase.RUNNING:
            return
        if self.phase is not Phase.NEW:
            message = f"{type(self).__name__} was stopped; make a new one instead of starting it again"
            raise RuntimeError(message)
        self.phase = Phase.RUNNING
        try:
            await self.open()
        except BaseException:
            await self.stop(soft_s=0)
            raise

    async def stop(self, *, soft_s: float = 0.0) -> None:
        """Drain for up to `soft_s` seconds, then close. All callers return once it is closed."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(soft_s), name=f"stop:{type(self).__name__}")
        # Shielded: one impatient caller must not leave the part half closed for the others.
        await asyncio.shield(self._stopping)

    async def _stop(self, soft_s: float) -> None:
        started, self.phase = self.phase is Phase.RUNNING, Phase.DRAINING
        try:
            if started and soft_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(soft_s):
                        await self.drain()
        finally:
            try:
                if started:
                    await self.close()
            finally:
                self.phase = Phase.CLOSED
