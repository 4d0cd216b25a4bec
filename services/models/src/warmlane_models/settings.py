"""The settings of the models service. What concerns the store itself is read by the store (`WAN_MODELS_*`)."""

import os
import socket
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode
from warmlane_runtime.settings import HttpSettings, LogSettings, NatsSettings, Settings, StopSettings


def _node() -> str:
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:48]
    return f"{host}-{os.getpid()}"


class ModelsSettings(Settings):
    """What this node shall have. Names as in `wan models`, divided by commas."""

    models_ensure: Annotated[tuple[str, ...], NoDecode] = ()
    models_prewarm: bool = True
    """Whether requests queue models that are not here."""
    models_retry_s: float = Field(default=30.0, gt=0)
    """Pause before a model that could not be had is tried again; doubles up to ten minutes."""
    models_report_s: float = Field(default=1.0, gt=0)
    """How often progress is told."""
    models_node: str = Field(default_factory=_node, pattern=r"^[A-Za-z0-9_-]{1,64}$")

    @field_validator("models_ensure", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class ServiceSettings(Settings):
    """All groups of the process."""

    models: ModelsSettings = Field(default_factory=ModelsSettings)
    nats: NatsSettings = Field(default_factory=NatsSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    stop: StopSettings = Field(default_factory=StopSettings)
