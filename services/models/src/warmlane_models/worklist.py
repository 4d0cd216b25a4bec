"""The models this node has still to get, one at a time, each once however often it was asked for.

    offer ─► waiting (no doubles) ─► ensure in a thread ─► ensured
                 ▲                            └─ failed ─► again after a pause that doubles
                 └────────────────────────────────┘

One at a time on purpose: the store makes each download as parallel as the line allows, and two at once would only
finish later, both.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from warmlane_contracts.messages import Message, ModelEnsured, ModelFailed, ModelProgressed
from warmlane_modelstore.errors import StoreError
from warmlane_modelstore.store import ModelStore
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.progress import Progress

from warmlane_models import metrics

log = structlog.get_logger(__name__)

_LONGEST_RETRY_S = 600.0

Tell = Callable[[Message], Awaitable[None]]


class Worklist:
    """Ensures what is offered. `run` must be running; `cancel` makes the ensure in hand stop and keep what it has."""

    def __init__(self, store: ModelStore, *, node: str, tell: Tell, report_s: float, retry_s: float) -> None:
        self._store = store
        self._node = node
        self._tell = tell
        self._report_s = report_s
        self._retry_s = retry_s
        self._waiting: dict[str, None] = {}
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        self.current: str | None = None

    @property
    def waiting(self) -> list[str]:
        """Ids in the order they will be ensured."""
        return list(self._waiting)

    def offer(self, name: str) -> bool:
        """Queue a model unless it is complete, queued or in work. False for that, and for names nobody knows."""
        try:
            status = self._store.status(name)
        except StoreError as unknown:
            log.info("models.unknown_model", model=name, detail=unknown.detail)
            return False
        model = str(status.id)
        if status.ready or model in self._waiting or model == self.current:
            return False
        self._waiting[model] = None
        metrics.WAITING.set(len(self._waiting))
        self._wake.set()
        return True

    async def run(self) -> None:
        """Work for ever."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    self.current = next(iter(self._waiting))
                    del self._waiting[self.current]
                    metrics.WAITING.set(len(self._waiting))
                    await self._ensure(self.current)
                    self.current = None
        finally:
            for task in self._later:
                task.cancel()

    async def _ensure(self, model: str) -> None:
        progress = Progress(model)
        reporting = asyncio.create_task(self._report(model, progress), name=f"models:report:{model}")
        try:
            outcome = await asyncio.to_thread(self._store.ensure, model, None, progress)
        except StoreError as error:
            await self._failed(model, error)
        except Cancelled:
            log.info("models.ensure_cancelled", model=model)
        else:
            self._failures.pop(model, None)
            metrics.ENSURES.labels(outcome.how).inc()
            metrics.FETCHED.inc(outcome.bytes_fetched)
            if outcome.how == "fetched":
                metrics.SECONDS.observe(outcome.seconds)
            log.info(
                "models.ensured", model=model, how=outcome.how, bytes=outcome.bytes_fetched, seconds=outcome.seconds
            )
            await self._tell(
                ModelEnsured(
                    node=self._node,
                    model=model,
                    how=outcome.how,
                    bytes_fetched=outcome.bytes_fetched,
                    seconds=outcome.seconds,
                )
            )
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    async def _failed(self, model: str, error: StoreError) -> None:
        detail = self._store.masker.mask(error.detail)
        metrics.ENSURES.labels(str(error.code)).inc()
        failures = self._failures[model] = self._failures.get(model, 0) + 1
        pause = min(_LONGEST_RETRY_S, self._retry_s * 2.0 ** (failures - 1))
        log.warning("models.ensure_failed", model=model, code=str(error.code), detail=detail, again_in_s=pause)
        await self._tell(ModelFailed(node=self._node, model=model, code=str(error.code), detail=detail))
        task = asyncio.create_task(self._offer_later(model, pause), name=f"models:retry:{model}")
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _offer_later(self, model: str, pause: float) -> None:
        await asyncio.sleep(pause)
        self.offer(model)

    async def _report(self, model: str, progress: Progress) -> None:
        """Tells progress when it changed, at most once an interval."""
        last = None
        while True:
            await asyncio.sleep(self._report_s)
            now = progress.snapshot()
            if now == last:
                continue
            last = now
            await self._tell(
                ModelProgressed(
                    node=self._node,
                    model=model,
                    phase=now.phase.value,
                    bytes_done=max(0, now.bytes_done),
                    bytes_total=max(0, now.bytes_total),
                )
            )
