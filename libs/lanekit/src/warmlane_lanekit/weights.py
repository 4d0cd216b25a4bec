"""Where the lane's weights are: through the model store when it is on, else the folder the operator filled.

    store off ─► MODELS_ROOT/<model>
    store on  ─► ensure (waits for whoever is at it, tells progress) ─► use: kept from being collected ─► its folder
                                                                        encrypted ─► decrypted into memory, a folder of links

The switch (`WARMLANE_MODEL_STORE`) is there for gradual adoption: a node changes over when it has room for both.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from warmlane_contracts.messages import Message, ModelEnsured, ModelProgressed
from warmlane_modelstore.leases.uses import Use
from warmlane_modelstore.sealing.view import ClearView
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore
from warmlane_modelstore.transfer.progress import Progress

log = structlog.get_logger(__name__)

_REPORT_S = 1.0


class Weights(Protocol):
    """A model's folder, asked for before each load."""

    async def folder(self) -> Path:
        """Return the folder once the model in it is complete. Raise what a lane reports as a failed load."""
        ...

    async def close(self) -> None:
        """Say that the folder is not mapped any more."""
        ...


class FolderWeights:
    """Weights somebody else put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def folder(self) -> Path:
        return self._folder

    async def close(self) -> None:
        """Nothing is held."""


class StoreWeights:
    """Weights the store brings. One lane holds one use; it lives as long as the worker."""

    def __init__(self, store: ModelStore, model: str, *, node: str, tell: Callable[[Message], None]) -> None:
        """Touch nothing yet. `tell` publishes facts and must not block."""
        self._store = store
        self._model = model
        self._node = node
        self._tell = tell
        self._use: Use | None = None
        self._view: ClearView | None = None

    async def folder(self) -> Path:
        """Ensure, then announce the use; both again after a collect or a corruption took the model away."""
        progress = Progress(self._model)
        reporting = asyncio.create_task(self._report(progress), name="weights:report")
        try:
            outcome = await asyncio.to_thread(self._store.ensure, self._model, None, progress)
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
        self._tell(
            ModelEnsured(
                node=self._node,
                model=str(outcome.id),
                how=outcome.how,
                bytes_fetched=outcome.bytes_fetched,
                seconds=outcome.seconds,
            )
        )
        before, self._use = self._use, await asyncio.to_thread(self._store.use, self._model)
        if before is not None:
            before.close()
        if self._store.record(self._model).encrypted:
            return await asyncio.to_thread(self._decrypt)
        return self._use.path

    def _decrypt(self) -> Path:
        """Decrypt anew: an engine that died may have been reading the memory of the view before."""
        before, self._view = self._view, self._store.clear_view(self._model)
        if before is not None:
            before.close()
        return self._view.path

    async def close(self) -> None:
        """Stop an ensure in hand and give the use back; may be called twice."""
        self._store.cancel()
        if self._view is not None:
            view, self._view = self._view, None
            await asyncio.to_thread(view.close)
        if self._use is not None:
            use, self._use = self._use, None
            await asyncio.to_thread(use.close)

    async def _report(self, progress: Progress) -> None:
        last = None
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(_REPORT_S)
                now = progress.snapshot()
                if now != last:
                    last = now
                    log.info("lane.weights_progressed", model=now.model, phase=now.phase, bytes=now.bytes_done)
                    self._tell(
                        ModelProgressed(
                            node=self._node,
                            model=now.model,
                            phase=now.phase.value,
                            bytes_done=max(0, now.bytes_done),
                            bytes_total=max(0, now.bytes_total),
                        )
                    )


def open_weights(model: str, *, store: bool, models_root: Path, node: str, tell: Callable[[Message], None]) -> Weights:
    """The lane's weights by its settings. Raise `StoreError` for a manifest that cannot be used."""
    if not store:
        return FolderWeights(models_root / model)
    environ = os.environ | {"MODELS_ROOT": str(models_root)}
    return StoreWeights(ModelStore.open(StoreSettings.from_environ(environ)), model, node=node, tell=tell)
