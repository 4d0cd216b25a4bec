"""How far an ensure has come: one place that streams add to, and that displays, leases and events read from."""

import threading
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What is being done for a model right now."""

    WAITING = "waiting"
    LISTING = "listing"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    CONVERTING = "converting"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Progress of one model at one moment. `holder` is set while another process does the work."""

    model: str
    phase: Phase
    bytes_done: int
    bytes_total: int
    file: str = ""
    holder: str = ""


class Progress:
    """Thread-safe; cheap enough to call for every buffer."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._phase = Phase.WAITING
        self._done = 0
        self._total = 0
        self._file = ""
        self._holder = ""

    def enter(self, phase: Phase, *, total: int | None = None, file: str = "") -> None:
        """A new phase; with `total` the count starts again at zero."""
        with self._lock:
            self._phase, self._file, self._holder = phase, file, ""
            if total is not None:
                self._total, self._done = total, 0

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count

    def name(self, file: str) -> None:
        with self._lock:
            self._file = file

    def mirror(self, snapshot: Snapshot) -> None:
        """Shows somebody else's progress as ours while we wait for them."""
        with self._lock:
            self._phase, self._file, self._holder = Phase.WAITING, snapshot.file, snapshot.holder
            self._done, self._total = snapshot.bytes_done, snapshot.bytes_total

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(self._model, self._phase, self._done, self._total, self._file, self._holder)
