"""Leases of those who have a model's directory mapped: while one lives, collect leaves the model alone.

Deleting a mapped file is safe for the lane that mapped it (the inode stays), but the disk space would not come back
and a second lane would find half a model. Truncating would kill the lane with SIGBUS; the store never truncates.
"""

import threading
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.host import Identity
from warmlane_modelstore.leases.holding import Held, LeaseRoom
from warmlane_modelstore.leases.lease import read, take

# A lane beats this often; one that was silent ten times as long is gone, if it cannot be judged by its process.
USE_BEAT_S = 5.0
USE_TTL_S = 60.0


class Use:
    """A model's directory, kept from being collected until `close`. Also a context manager."""

    def __init__(self, path: Path, held: Held) -> None:
        self.path = path
        self._held = held

    def close(self) -> None:
        self._held.release()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def begin_use(directory: Path, model_dir: Path) -> Use:
    """Announces that this process maps `model_dir`; many may at once."""
    identity = Identity.current()
    lease = take(directory / f"{identity.owner}.lease", identity)
    if lease is None:
        raise StoreError(Code.IO_FAIL, f"{directory} cannot take a lease", "Check the permissions of MODELS_ROOT.")
    return Use(model_dir, Held(lease, lambda: None, USE_BEAT_S, threading.Event()))


def users(directory: Path, room: LeaseRoom, *, now: float) -> list[Identity]:
    """Who has the directory mapped now; leases of the dead are swept on the way. `now` is wall time in seconds."""
    found: list[Identity] = []
    if not directory.is_dir():
        return found
    for path in sorted(directory.glob("*.lease")):
        holder = read(path)
        if holder is None:
            continue
        # Beats rewrite the file, so its age is the silence; a clock that is off by minutes only keeps a model longer.
        silent = now - path.stat().st_mtime if path.exists() else 0.0
        if room.identity.knows_dead(holder.identity) or silent > USE_TTL_S:
            path.unlink(missing_ok=True)
        else:
            found.append(holder.identity)
    return found
