"""Who we are, in words that tell a dead holder from a living one after a kill, a reboot, or in another container.

A process id alone says nothing: it is reused, and two containers on one node have the same boot but different process
tables. So an identity carries boot id, pid namespace and the process's start time.
"""

import os
import platform
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Identity:
    """One use of the store by one process. Fields that this system cannot tell are empty."""

    owner: str
    host: str
    pid: int
    boot_id: str = ""
    pid_namespace: str = ""
    started: str = ""

    @classmethod
    def current(cls) -> Self:
        """A new owner in this process."""
        pid = os.getpid()
        return cls(
            owner=uuid.uuid4().hex,
            host=platform.node(),
            pid=pid,
            boot_id=boot_id(),
            pid_namespace=_link("/proc/self/ns/pid"),
            started=_start_time(pid),
        )

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> Self:
        pid = fields.get("pid")
        return cls(
            owner=str(fields.get("owner", "")),
            host=str(fields.get("host", "")),
            pid=pid if isinstance(pid, int) else 0,
            boot_id=str(fields.get("boot_id", "")),
            pid_namespace=str(fields.get("pid_namespace", "")),
            started=str(fields.get("started", "")),
        )

    def fields(self) -> dict[str, object]:
        return asdict(self)

    def knows_dead(self, other: "Identity") -> bool:
        """True only when `other` has certainly ended; False when it lives or cannot be judged from here."""
        if not other.host or other.host != self.host or not self.boot_id or not other.boot_id:
            return False
        if other.boot_id != self.boot_id:
            return True
        if not self.pid_namespace or other.pid_namespace != self.pid_namespace:
            return False
        return not _alive(other.pid) or (bool(other.started) and _start_time(other.pid) != other.started)

    def __str__(self) -> str:
        return f"{self.host}, process {self.pid}"


def boot_id() -> str:
    """Changes with every boot of this machine; empty where there is no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - the link's text, not a path
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Clock ticks since boot when the process started: field 22 of /proc/<pid>/stat."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The second field is a name in parentheses and may hold anything, so count from its end.
    return stat.rpartition(")")[2].split()[19]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def long_paths_enabled() -> bool:
    """Whether this Windows takes paths beyond 260 characters; True everywhere else."""
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - there only

        where = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, where) as key:
                return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
        except OSError:
            return False
    return True
