"""What the environment says, read once at the start of a process, checked, and never changed.

Settings come in small frozen groups; a service makes its own class of groups and hands each part only the group it
needs. Every value is read from `WARMLANE_<NAME>`. Durations are in seconds (`_s`), sizes in bytes (`_bytes`). Secrets
are `SecretStr`, so that no repr, log or error shows them.

    class LaneSettings(Settings):
        nats: NatsSettings = Field(default_factory=NatsSettings)
        log: LogSettings = Field(default_factory=LogSettings)

    settings = load(LaneSettings)
"""

from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "WARMLANE_"


class Settings(BaseSettings):
    """Base of every group: frozen, from `WARMLANE_*`, an empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)


class LogSettings(Settings):
    """How a process logs."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"


class HttpSettings(Settings):
    """Where a process listens. On lanes this is the port of health and metrics."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535)
    """0 lets the system choose a port; the process logs which."""


class NatsSettings(Settings):
    """Where the broker is. The URL may hold a user and a password, and several servers divided by commas."""

    nats_url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    nats_replicas: Literal[1, 3, 5] = 1
    """How many servers hold each stream. Only the one that applies the topology reads it."""


class StopSettings(Settings):
    """How long a soft stop may take before it becomes a hard one."""

    soft_stop_s: float = Field(default=25.0, ge=0)


class SettingsError(Exception):
    """The environment does not make valid settings. The message names each variable, never its value."""


S = TypeVar("S", bound=BaseSettings)


def load(group: type[S]) -> S:
    """Return `group` read from the environment; raise `SettingsError` with every fault at once."""
    try:
        return group()
    except ValidationError as bad:
        faults = [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in bad.errors(include_input=False)]
        message = "settings are not valid; fix the environment: " + "; ".join(faults)
        # The cause holds the rejected values, which may be secrets; a traceback must not print it.
        raise SettingsError(message) from None


def _variable(location: tuple[int | str, ...]) -> str:
    """Return the name of the variable a fault's location belongs to."""
    name = str(location[-1]) if location else ""
    return name if name.isupper() else PREFIX + name.upper()
