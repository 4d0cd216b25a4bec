"""The folder where attempts keep their files, and whether it has room: a worker whose disk is full takes no job it would
only fail.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_LOOK_S = 1.0


class Scratch:
    """The scratch folder. A job is taken while at least `least_bytes` are free."""

    def __init__(self, folder: Path, *, least_bytes: int) -> None:
        self.folder = folder
        self._least_bytes = least_bytes

    def open(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def why_full(self) -> str | None:
        """Say why no job should be taken, None when there is room: a readiness check."""
        free = shutil.disk_usage(self.folder).free
        if free >= self._least_bytes:
            return None
        return f"{self.folder} has {free} bytes free of the {self._least_bytes} a clip may need"

    async def room(self, changed: Callable[[], None]) -> None:
        """Return once there is room; `changed` is called when a lack of it begins and ends."""
        why = self.why_full()
        if why is None:
            return
        log.error("lane.scratch_full", reason=why)
        changed()
        while self.why_full() is not None:  # noqa: ASYNC110 - others fill and empty the disk
            await asyncio.sleep(_LOOK_S)
        log.info("lane.scratch_has_room")
        changed()
