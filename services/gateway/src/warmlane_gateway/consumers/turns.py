"""Turns in a lane's queue, so that nobody's thousand tasks keep another's one waiting.

    a lane's queue at the broker is short ─┬─ room, nobody held ─► published at once
                                           └─ else ─► held ─► released in turns: round robin between owners,
                                                              priority within an owner's own

The queue at the broker cannot be reordered, so it is kept at a few jobs per worker; everything else waits in the outbox.
Any gateway may release: a row goes to one of them. The counts are a moment old, so the queue may grow a little longer.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Callable

import structlog
from warmlane_storage.postgres import PASSING

from warmlane_gateway.adapters.outbox import Outbox, Outgoing
from warmlane_gateway.domain.overload import TooManyWaiting
from warmlane_gateway.metrics import HELD

log = structlog.get_logger(__name__)

_EVERY_S = 0.2
_LEAST = 8
_EACH_WORKER = 4


class Turns:
    """Decides what is published now, and releases what was held. `run` must be running."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        publish: Callable[[Outgoing], None],
        ready_workers: Callable[[str], int],
        service_s: Callable[[str], float | None],
        bound: int,
    ) -> None:
        self._outbox = outbox
        self._publish = publish
        self._ready_workers = ready_workers
        self._service_s = service_s
        self._bound = bound
        self._queued: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._of_owner: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def must_wait(self, lane: str, owner: str) -> bool:
        """Say whether a new task has to be held. Raise `TooManyWaiting` when its owner has as many waiting as may."""
        waiting = self._of_owner[lane][owner]
        if waiting >= self._bound:
            again_s = math.ceil(self._service_s(lane) or _LEAST)
            raise TooManyWaiting(f"{waiting} of your tasks wait for {lane} already.", min(60, max(1, again_s)))
        self._of_owner[lane][owner] += 1
        held = bool(self._held[lane]) or self._room(lane) <= 0
        (self._held if held else self._queued)[lane] += 1
        return held

    async def run(self) -> None:
        """Count and release for ever."""
        while True:
            try:
                await self.release()
            except PASSING as away:
                log.warning("gateway.turns_paused", reason=repr(away))
            await asyncio.sleep(_EVERY_S)

    async def release(self) -> None:
        """Look once."""
        queued, held = Counter[str](), Counter[str]()
        of_owner: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for queue in await self._outbox.queues():
            queued[queue.lane] += queue.queued
            held[queue.lane] += queue.held
            of_owner[queue.lane][queue.owner] = queue.queued + queue.held
        self._queued, self._held, self._of_owner = queued, held, of_owner
        for lane in held:
            HELD.labels(lane).set(held[lane])
            room = self._room(lane)
            if held[lane] and room > 0:
                for outgoing in await self._outbox.release(lane, room):
                    self._publish(outgoing)

    def _room(self, lane: str) -> int:
        return max(_LEAST, _EACH_WORKER * self._ready_workers(lane)) - self._queued[lane]
