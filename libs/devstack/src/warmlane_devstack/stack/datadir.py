"""The data folder of one stack: what has to be the same tomorrow, and who may use it now.

    state.json     secrets and ports, made once; only the owner can read it
    lock           held by the supervisor while it lives; holds its pid
    run.json       what runs now (see runfile.py)
    logs/          one file per process, rotated
    nats/ postgres/ s3/ models/

Secrets are made once per folder, because the data in it is bound to them. Ports are kept for people's bookmarks; one that
somebody else took meanwhile is replaced.
"""

import contextlib
import errno
import fcntl
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.servers.ports import claim, free_ports, is_free
from warmlane_devstack.servers.process import write_private
from warmlane_devstack.stack.secrets import SECRETS

MIN_FREE_BYTES = 512 * 1024 * 1024


class DataDir:
    """One stack's folder. Made when missing; `hold` it while using it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._state: dict[str, dict[str, str]] = {}
        self._ports: dict[str, list[int]] = {}
        self._claims: dict[int, socket.socket] = {}

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @contextlib.contextmanager
    def hold(self, pid: int) -> Iterator[None]:
        """Be the only stack on this folder, until the block or the process ends. Raises CommandFailed otherwise."""
        with full_disk_is_one_line(self.path):
            # Others may pass (root's PostgreSQL runs as another user), not look around.
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
            self._check_space()
            with (self.path / "lock").open("a+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise CommandFailed(self._held()) from None
                lock.truncate(0)
                lock.write(str(pid))
                lock.flush()
                self._load()
                try:
                    yield
                finally:
                    for claimed in self._claims.values():
                        claimed.close()
                    self._claims.clear()

    def holder(self) -> int | None:
        """The pid of the supervisor that holds this folder, if one does."""
        path = self.path / "lock"
        if not path.exists():
            return None
        with path.open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
        return None

    def secret(self, name: str) -> str:
        return self._state["secrets"][name]

    def ports(self, name: str, count: int = 1) -> list[int]:
        """The ports `name` had before if they are free, else new ones, remembered."""
        known = self._ports.get(name, [])
        while len(known) != count or not all(self.take(port) for port in known):
            known = free_ports(count)
        self._ports[name] = known
        self._save()
        return known

    def take(self, port: int) -> bool:
        """Whether the port is this stack's to use: nobody listens on it, and no other stack is about to."""
        if not is_free(port):
            return False
        if port not in self._claims:
            claimed = claim(port)
            if claimed is None:
                return False
            self._claims[port] = claimed
        return True

    def known_port(self, name: str) -> int | None:
        return next(iter(self._ports.get(name, [])), None)

    def keep_port(self, name: str, port: int) -> None:
        self._ports[name] = [port]
        self._save()

    def _load(self) -> None:
        path = self.path / "state.json"
        try:
            state = json.loads(path.read_text()) if path.exists() else {}
            self._ports = {name: [int(port) for port in ports] for name, ports in state.get("ports", {}).items()}
            kept = {name: str(state.get("secrets", {})[name]) for name in state.get("secrets", {})}
        except (ValueError, AttributeError, TypeError):
            message = f"{path} is not readable as state of a stack; restore it, or start anew with another --data"
            raise CommandFailed(message, Exit.CORRUPT) from None
        self._state = {"secrets": {name: kept.get(name) or make() for name, make in SECRETS.items()}}
        self._save()

    def _save(self) -> None:
        state = {"secrets": self._state["secrets"], "ports": self._ports}
        write_private(self.path / "state.json", json.dumps(state, indent=2) + "\n")

    def _held(self) -> str:
        return (
            f"a stack already runs on {self.path} (pid {self.holder() or 'unknown'}); "
            "stop it with `make down`, or choose another folder with --data"
        )

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise CommandFailed(no_space(self.path, free), Exit.NO_SPACE)


def no_space(path: Path, free: int) -> str:
    return (
        f"no space: {free // 2**20} MB free at {path}, {MIN_FREE_BYTES // 2**20} MB needed; "
        "free some, or choose another folder with --data"
    )


@contextlib.contextmanager
def full_disk_is_one_line(path: Path) -> Iterator[None]:
    """Turn "no space left on device" from anywhere inside into the one line that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CommandFailed(no_space(path, shutil.disk_usage(path).free), Exit.NO_SPACE) from error
        raise
