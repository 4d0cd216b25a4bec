"""The gateway's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from warmlane_runtime.settings import HttpSettings, LogSettings, NatsSettings, Settings, StopSettings
from warmlane_storage.objects import ObjectSettings
from warmlane_storage.postgres import PostgresSettings

MIB = 1024 * 1024


class LimitSettings(Settings):
    """What one request may bring."""

    max_body_bytes: int = Field(default=64 * MIB, gt=0)
    max_image_bytes: int = Field(default=20 * MIB, gt=0)
    max_image_pixels: int = Field(default=50_000_000, gt=0)
    """Checked from the header, before a pixel is decoded: a small file can hold a huge picture."""
    lane_queue_bound: int = Field(default=1000, ge=1)
    """Tasks that may wait for one lane. Past it requests go to the shared workers."""
    key_queue_bound: int = Field(default=500, ge=1)
    """Tasks of one key that may wait for one lane. Past it the answer is `rate_limited`."""
    video_longest_s: float = Field(default=1800.0, gt=0)
    """How long a video may take from its first claim before it is given up."""
    image_longest_s: float = Field(default=600.0, gt=0)
    orphan_settle_s: float = Field(default=180.0, gt=0)
    """How long after a task's end its folder is looked through: longer than a finished clip may wait for a broker."""


class GatewaySettings(Settings):
    """All groups of the gateway's process."""

    engine: Literal["tiny", "real"] = "real"
    """Chooses the catalogue's profile: tiny engines get small default clips."""
    console: Path | None = None
    """Folder of the console's built files; beside the source when unset."""
    secure_cookies: bool = False
    """Mark session cookies Secure although requests arrive as http: behind a proxy that ends TLS."""
    bootstrap_api_key: SecretStr | None = None
    """A key that shall exist: the first one, made by whoever set the machine up."""
    nats: NatsSettings = Field(default_factory=NatsSettings)
    postgres: PostgresSettings = Field(default_factory=PostgresSettings)
    objects: ObjectSettings = Field(default_factory=ObjectSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    stop: StopSettings = Field(default_factory=StopSettings)
