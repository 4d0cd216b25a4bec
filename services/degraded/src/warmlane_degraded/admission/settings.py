"""Admission's settings. What routing and the waiting queue promise is part of the contract and not set here."""

import os
import socket

from pydantic import Field
from warmlane_runtime.settings import HttpSettings, LogSettings, NatsSettings, Settings, StopSettings


def _replica() -> str:
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:48]
    return f"{host}-{os.getpid()}"


class ReplicaSettings(Settings):
    """Who this replica is."""

    replica: str = Field(default_factory=_replica, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    look_s: float = Field(default=1.0, gt=0)
    """How often the lanes are looked at, in seconds."""


class AdmissionSettings(Settings):
    """All groups of admission's process."""

    admission: ReplicaSettings = Field(default_factory=ReplicaSettings)
    nats: NatsSettings = Field(default_factory=NatsSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    stop: StopSettings = Field(default_factory=StopSettings)
