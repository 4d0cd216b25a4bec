"""The settings of a lane's worker."""

import os
import socket
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field
from warmlane_contracts.topology import HEARTBEAT_S
from warmlane_runtime.settings import HttpSettings, LogSettings, NatsSettings, Settings, StopSettings
from warmlane_storage.objects import ObjectSettings


def _worker_id() -> str:
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:48]
    return f"{host}-{os.getpid()}"


class WorkerSettings(Settings):
    """Who this worker is and how patient it is. Durations in seconds."""

    worker_id: str = Field(default_factory=_worker_id, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    engine: Literal["tiny", "real"] = "real"
    """Which weights the operator put under the models root; the code is the same. Reported, and chooses the profile."""
    models_root: Path = Field(default=Path("models"), validation_alias="MODELS_ROOT")
    model_store: bool = False
    """Whether weights come through the model store (`wan models`) or lie in MODELS_ROOT/<model> already."""
    vram_budget_bytes: int | None = Field(default=None, gt=0)
    """Device memory that clips may take, weights included; by default all there is."""
    scratch: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()))
    """Where attempts keep their files; the faster the better, a few hundred megabytes each."""
    scratch_least_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    """Below this much free space no job is taken."""
    heartbeat_s: float = Field(default=HEARTBEAT_S, gt=0)
    fetch_s: float = Field(default=5.0, gt=0, le=5)
    """How long one pull waits. A broker that restarts forgets pulls, so a longer one would hide its return."""
    cancel_grace_s: float = Field(default=20.0, gt=0)
    """How long an engine may take to hear a cancel (one step of the real models) before it is killed."""
    commit_s: float = Field(default=120.0, gt=0)
    """How long a finished clip waits for a broker or an object store that is away before the attempt is given up."""
    hang_least_s: float = Field(default=30.0, gt=0)
    """No silence of an engine shorter than this counts as hanging, however quick its steps are."""
    hang_most_s: float = Field(default=600.0, gt=0)
    """Every silence longer than this does, loads included."""
    reload_s: float = Field(default=2.0, gt=0)
    """Pause before a lost engine is started again; doubles up to a minute while it keeps failing."""

    def budget_of(self, total_bytes: int | None) -> int | None:
        """Return the device memory that clips may take, None where there is no device."""
        known = [size for size in (self.vram_budget_bytes, total_bytes) if size is not None]
        return min(known) if known else None


class LaneSettings(Settings):
    """All groups of a lane's process."""

    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    nats: NatsSettings = Field(default_factory=NatsSettings)
    objects: ObjectSettings = Field(default_factory=ObjectSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    stop: StopSettings = Field(default_factory=StopSettings)
