"""A process: its parts, its signals, its exit code.

    start parts in order ─► run ─► SIGTERM, SIGINT or `stop()` ─► drain all, newest first ─► close all, newest first ─► 0
                             └──► a guarded task ended, or a part said `fail()` ────────────► close all ─────────────► 1

A second signal, or the end of `soft_stop_s`, turns the soft stop into a hard one. Parts that are added later depend on
those added before, so stopping goes backwards: a claim loop drains while the broker connection under it still works.
Background tasks use parts, so they end after the drain and before the parts close. A stop during the start ends the
start: nothing was taken in hand yet.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from warmlane_runtime.lifecycle import Part, Phase
from warmlane_runtime.tasks import Tasks

log = structlog.get_logger(__name__)

CLOSE_S = 5.0
"""How long closing one part may take. Longer means it hangs, and a hanging stop helps nobody."""


class Service:
    """Runs parts until told to stop. Make it inside the running event loop."""

    def __init__(self, name: str, *, soft_stop_s: float = 25.0) -> None:
        """Hold no part yet. `soft_stop_s` bounds the drain of all parts together, in seconds."""
        self.name = name
        self.tasks = Tasks()
        self._soft_stop_s = soft_stop_s
        self._parts: list[Part] = []
        self._soft = asyncio.Event()
        self._hard = asyncio.Event()
        self._failure: str | None = None

    @property
    def stopping(self) -> bool:
        """Say whether a stop was asked for. Readiness should turn false with it."""
        return self._soft.is_set()

    def add(self, part: Part) -> None:
        """Start `part` after those added before it, and stop it before them."""
        self._parts.append(part)

    def stop(self) -> None:
        """Ask for a soft stop; ask again for a hard one."""
        (self._hard if self._soft.is_set() else self._soft).set()

    def fail(self, reason: str) -> None:
        """Stop hard with exit code 1: the process cannot do its work and should be replaced."""
        self._failure = self._failure or reason
        self._soft.set()
        self._hard.set()

    async def run(self) -> int:
        """Start everything, run until stopped, stop everything, and return the exit code."""
        with _signals(self.stop):
            watch = asyncio.create_task(self._watch_tasks(), name="service:watch")
            try:
                await self._start()
                await self._soft.wait()
                await self._drain()
            except Exception as error:
                log.exception("service.failed", service=self.name)
                self._failure = self._failure or repr(error)
            finally:
                await self._close()
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        log.info("service.stopped", exit_code=1 if self._failure else 0, reason=self._failure)
        return 1 if self._failure else 0

    async def _start(self) -> None:
        """Start the parts, unless a stop comes first; whatever a part waits for (a broker, a model) is given up then."""
        starting = asyncio.create_task(self._start_parts(), name="service:start")
        stopped = asyncio.create_task(self._soft.wait(), name="service:stop")
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                log.info("service.started", parts=[type(part).__name__ for part in self._parts])
        finally:
            starting.cancel()
            stopped.cancel()
            await asyncio.gather(starting, stopped, return_exceptions=True)

    async def _start_parts(self) -> None:
        for part in self._parts:
            await part.start()

    async def _drain(self) -> None:
        """Let every part finish its work, until the time is over or somebody is impatient."""
        if self._hard.is_set():
            return
        log.info("service.draining", soft_stop_s=self._soft_stop_s)
        self.tasks.drain()
        drain = asyncio.create_task(self._drain_parts(), name="service:drain")
        impatient = asyncio.create_task(self._hard.wait(), name="service:hard")
        await asyncio.wait({drain, impatient}, timeout=self._soft_stop_s, return_when=asyncio.FIRST_COMPLETED)
        if not drain.done():
            log.warning("service.drain_cut_short", reason="asked" if self._hard.is_set() else "deadline")
        drain.cancel()
        impatient.cancel()
        await asyncio.gather(drain, impatient, return_exceptions=True)

    async def _drain_parts(self) -> None:
        for part in reversed(self._parts):
            if part.phase is not Phase.RUNNING:
                continue
            try:
                await part.drain()
            except Exception:
                log.exception("service.drain_failed", part=type(part).__name__)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.tasks.stop()
        except TimeoutError:
            log.error("service.tasks_hang", tasks=self.tasks.names)  # noqa: TRY400 - the traceback is only ours
        for part in reversed(self._parts):
            try:
                async with asyncio.timeout(CLOSE_S):
                    await part.stop(soft_s=0)
            except Exception:
                log.exception("service.close_failed", part=type(part).__name__)

    async def _watch_tasks(self) -> None:
        fault = await self.tasks.wait_fault()
        self.fail(str(fault))


def run_service(build: Callable[[], Awaitable[Service]], *, runner: Callable[..., int] | None = None) -> int:
    """Make the service inside a new event loop, run it, and return its exit code for `sys.exit`.

    `runner` takes the coroutine and runs it; give `uvloop.run` where uvloop is installed.
    """

    async def main() -> int:
        return await (await build()).run()

    work: Coroutine[Any, Any, int] = main()
    return (runner or asyncio.run)(work)


@contextlib.contextmanager
def _signals(handler: Callable[[], None]) -> Any:  # noqa: ANN401 - a generator context manager
    """Call `handler` for SIGTERM and SIGINT inside the block."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
