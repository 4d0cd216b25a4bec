"""What the supervisor is told about one process.

A unit is either kept (a server, a service: ready when its probe says so, restarted when it dies) or a step (topology,
migrations: ready when it has ended well, run once).
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from warmlane_devstack.servers.process import EmbeddedServer, Launch


class State(StrEnum):
    """Where a unit is. Shown to people while the stack starts."""

    WAITING = "waiting"
    PREPARING = "preparing"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


def nothing() -> None:
    """Do nothing: the default of a unit's optional acts."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One process of the stack. `launch` is asked again before each start; `prepare` and `probe` run in a thread."""

    name: str
    launch: Callable[[], Launch]
    # Asked once, within a second, whether it serves. None makes the unit a step.
    probe: Callable[[], bool] | None
    needs: tuple[str, ...] = ()
    prepare: Callable[[], None] = nothing
    after_stop: Callable[[], None] = nothing
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    ready_within_s: float = 120.0
    # False: the stack serves without it; it comes up meanwhile.
    awaited: bool = True
    # For people: what a failing start most likely needs.
    hint: str = ""

    @property
    def is_step(self) -> bool:
        return self.probe is None


def unit_of(server: EmbeddedServer) -> Unit:
    """The embedded server as a unit."""

    def prepare() -> None:
        server.directory.mkdir(parents=True, exist_ok=True)
        server.prepare()

    return Unit(
        name=server.name,
        prepare=prepare,
        launch=server.launch,
        probe=server.probe,
        after_stop=server.after_stop,
        stop_signal=server.stop_signal,
        stop_within_s=server.stop_within_s,
    )
