"""A lease file: one holder of one key across processes and hosts, on any file system that has O_EXCL and rename.

    absent ──O_EXCL──► held(owner, beat) ──release──► absent
                          │  ▲ beat
                          └──┴─ dead for certain, or no beat for the ttl ──rename away──► absent

flock is not enough: network file systems grant it to everybody. So holding is an inode: the holder keeps the file it
created open and writes beats into it; whoever takes over renames that inode away. A holder that was taken for dead
then finds another inode, or none, under the name, and must not publish (`still_mine`). Beats are counted, not dated:
a waiter measures with its own clock how long the count stood still, so hosts need not agree on the time.
"""

import contextlib
import json
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warmlane_modelstore.host import Identity
from warmlane_modelstore.transfer.progress import Phase, Snapshot

if sys.platform != "win32":  # on Windows a file in use cannot be renamed, which guards as well
    import fcntl

# Fixed, so that a beat overwrites the one before with a single write that no reader sees half of.
_RECORD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, as its file says. `beat` grows while the holder lives."""

    identity: Identity
    beat: int
    progress: Snapshot | None
    inode: int


class Lease:
    """Held by this process until `release`. Beats are written by whoever keeps it alive (`holding.py`)."""

    def __init__(self, path: Path, fd: int, identity: Identity, *, taken_over: bool) -> None:
        """Use `take`. `taken_over` says the former holder was not known dead and may still be writing."""
        self.path = path
        self.identity = identity
        self.taken_over = taken_over
        self._fd = fd
        self._inode = os.fstat(fd).st_ino
        self._beat = 0
        self._lock = threading.Lock()
        self._released = False

    def beat(self, progress: Snapshot | None = None) -> bool:
        """Tells waiters that we live and how far we are; False when the lease is not ours any more."""
        with self._lock:
            if self._released or not self.still_mine():
                return False
            self._beat += 1
            record: dict[str, object] = {"v": 1, "beat": self._beat, **self.identity.fields()}
            if progress is not None:
                record["progress"] = _progress_fields(progress)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, json.dumps(record).encode()[:_RECORD_BYTES].ljust(_RECORD_BYTES - 1) + b"\n")
            return True

    def still_mine(self) -> bool:
        """Whether the name still leads to the inode we created."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def release(self) -> None:
        """Gives the lease up if it is still ours; may be called twice."""
        with self._lock:
            if self._released:
                return
            self._released = True
            if self.still_mine():
                self.path.unlink(missing_ok=True)
            os.close(self._fd)


def take(path: Path, identity: Identity, *, taken_over: bool = False) -> Lease | None:
    """The lease, or None when somebody has it. Never waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    lease = Lease(path, fd, identity, taken_over=taken_over)
    lease.beat()
    return lease


def read(path: Path) -> Holder | None:
    """Who holds it now; None when nobody does. A record being written reads as an unknown holder."""
    try:
        with path.open("rb") as file:
            raw = file.read(_RECORD_BYTES)
            inode = os.fstat(file.fileno()).st_ino
    except OSError:
        return None
    try:
        fields = json.loads(raw)
    except ValueError:
        fields = {}
    beat = fields.get("beat", 0)
    return Holder(Identity.from_fields(fields), beat if isinstance(beat, int) else 0, _progress(fields), inode)


def evict(path: Path, holder: Holder) -> bool:
    """Removes a dead holder's lease; False when the file is another one than was judged.

    Rename first, look then: had somebody else just taken the lease, the file we moved is theirs. It is put back by
    link, which never overwrites, and they notice at the next beat if that failed.
    """
    away = path.with_name(f"{path.name}.stale-{uuid.uuid4().hex}")
    with _guard(path.parent):
        now = read(path)
        if now is None or now.inode != holder.inode or now.beat != holder.beat:
            return False
        try:
            path.rename(away)
        except OSError:
            return False
        mistaken = away.stat().st_ino != holder.inode
        if mistaken:
            with contextlib.suppress(OSError):
                os.link(away, path)
        away.unlink(missing_ok=True)
        return not mistaken


@contextlib.contextmanager
def _guard(directory: Path) -> Iterator[None]:
    """Serialises evictions on one host, where flock can be trusted; elsewhere the inode check decides alone."""
    if sys.platform == "win32":
        yield
        return
    fd = os.open(directory / ".guard", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _progress_fields(progress: Snapshot) -> dict[str, object]:
    return {
        "model": progress.model,
        "phase": str(progress.phase),
        "done": progress.bytes_done,
        "total": progress.bytes_total,
        "file": progress.file[-200:],
    }


def _progress(fields: dict[str, object]) -> Snapshot | None:
    raw = fields.get("progress")
    if not isinstance(raw, dict):
        return None
    try:
        return Snapshot(
            model=str(raw["model"]),
            phase=Phase(str(raw["phase"])),
            bytes_done=int(raw["done"]),
            bytes_total=int(raw["total"]),
            file=str(raw.get("file", "")),
            holder=str(Identity.from_fields(fields)),
        )
    except (KeyError, ValueError, TypeError):
        return None
