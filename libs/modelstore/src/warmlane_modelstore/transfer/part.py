"""A file on its way in, and the journal that lets another process go on where this one was killed.

    <name>.part      the bytes, at their final offsets; sparse where a range has not come yet
    <name>.journal   one header line, then `offset length crc32` for every megabyte written

A line is appended only after its bytes were written, so what the journal names is in the file: a killed process loses
at most the last megabyte of each stream. After a reboot the page cache is gone and the promise with it; then every
journalled range is checked against its crc32 before it is believed. The sha256 of the whole decides in any case.
"""

import errno
import json
import os
import shutil
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.transfer.digest import OrderedDigest
from warmlane_modelstore.transfer.extents import Extents, Range
from warmlane_modelstore.transfer.positioned import read_at, write_at

CHECKPOINT_BYTES = 1024 * 1024
_READ_BYTES = 1024 * 1024


class PartFile:
    """One holder at a time (the caller's lease sees to that), many threads. Close it; only `discard` deletes it."""

    def __init__(
        self, directory: Path, name: str, *, size: int, identity: str, boot_id: str, isolate: bool = False
    ) -> None:
        """Opens or starts the part. A part of other content (`identity`, `size`) is thrown away.

        `isolate` is for a part whose former writer is not known dead: what it wrote is copied, so that a late write
        of theirs cannot reach bytes we have hashed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"{name}.part"
        self._journal_path = directory / f"{name}.journal"
        self._header = {"v": 1, "size": size, "identity": identity, "boot": boot_id}
        self.size = size
        self._lock = threading.Lock()
        self._present = Extents()
        if isolate and self.path.exists():
            _copy_aside(self.path)
        self._resume()
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._journal = os.open(self._journal_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._closed = False
        self.resumed_bytes = self._present.total
        self.digest = OrderedDigest(self._read_at, size)

    def _resume(self) -> None:
        old = _read_journal(self._journal_path)
        same = old is not None and all(old.header.get(key) == self._header[key] for key in ("v", "size", "identity"))
        if not same or not self.path.exists():
            self.path.unlink(missing_ok=True)
            _write_header(self._journal_path, self._header)
            return
        assert old is not None  # noqa: S101 - for the type checker; `same` says it
        trusted = old.header.get("boot") == self._header["boot"]
        with self.path.open("rb") as file:
            for start, length, crc in old.lines:
                if trusted or _crc_of(file.read, file.seek, start, length) == crc:
                    self._present.add(start, start + length)

    @property
    def bytes_present(self) -> int:
        with self._lock:
            return self._present.total

    def missing(self, step: int) -> list[Range]:
        with self._lock:
            return list(self._present.missing(self.size, step))

    def writer(self, start: int, on_bytes: Callable[[int], None]) -> "PartWriter":
        return PartWriter(self, start, on_bytes)

    def write_at(self, offset: int, view: memoryview) -> None:
        try:
            write_at(self._fd, view, offset)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def record(self, start: int, length: int, crc: int) -> None:
        """Journals bytes that have been written."""
        try:
            os.write(self._journal, f"{start} {length} {crc:08x}\n".encode())
        except OSError as error:
            raise disk_error(error, self._journal_path) from error
        with self._lock:
            self._present.add(start, start + length)

    def advance_digest(self) -> None:
        """Hashes what has become contiguous, unless another thread is at it."""
        with self._lock:
            reach = self._present.covered_from(self.digest.position)
        try:
            self.digest.advance(reach)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def finish(self) -> str:
        """The sha256 of the whole, once nothing is missing; the bytes are on the disk when it returns."""
        try:
            self.digest.advance(self.size, wait=True)
            os.truncate(self._fd, self.size)
            os.fsync(self._fd)
        except OSError as error:
            raise disk_error(error, self.path) from error
        return self.digest.hexdigest()

    def _read_at(self, offset: int, buffer: memoryview) -> int:
        return read_at(self._fd, buffer, offset)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._fd)
            os.close(self._journal)

    def discard(self) -> None:
        """Closes and deletes both files: the bytes proved wrong, or have found their place under another name."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)

    def take(self, target: Path) -> None:
        """Moves the finished bytes to `target` (same volume) and forgets the journal."""
        self.close()
        target.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(target)
        self._journal_path.unlink(missing_ok=True)


class PartWriter:
    """Writes one range in order; journals every megabyte and whatever is left when the range ends or fails."""

    def __init__(self, part: PartFile, start: int, on_bytes: Callable[[int], None]) -> None:
        self._part = part
        self._start = self.position = start
        self._crc = 0
        self._on_bytes = on_bytes

    def __call__(self, view: memoryview) -> None:
        self._part.write_at(self.position, view)
        self._part.digest.offer(self.position, view)
        self._crc = zlib.crc32(view, self._crc)
        self.position += len(view)
        self._on_bytes(len(view))
        if self.position - self._start >= CHECKPOINT_BYTES:
            self.checkpoint()

    def checkpoint(self) -> None:
        if self.position > self._start:
            self._part.record(self._start, self.position - self._start, self._crc)
            self._start, self._crc = self.position, 0


def _copy_aside(path: Path) -> None:
    """Gives the name to a copy; the old inode stays with whoever still has it open."""
    copy = path.with_suffix(".copy")
    try:
        shutil.copyfile(path, copy)
        copy.replace(path)
    except OSError as error:
        copy.unlink(missing_ok=True)
        raise disk_error(error, path) from error


class _Journal:
    """A journal as read: its header and its well-formed lines."""

    def __init__(self, header: dict[str, object], lines: list[tuple[int, int, int]]) -> None:
        self.header = header
        self.lines = lines


def _read_journal(path: Path) -> _Journal | None:
    """None when there is no usable journal. The last line may be torn by the kill it is read after."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return None
    first, _, rest = text.partition("\n")
    try:
        header = json.loads(first)
    except ValueError:
        return None
    if not isinstance(header, dict):
        return None
    lines: list[tuple[int, int, int]] = []
    for line in rest.split("\n")[:-1]:
        fields = line.split(" ")
        try:
            lines.append((int(fields[0]), int(fields[1]), int(fields[2], 16)))
        except (ValueError, IndexError):
            continue
    return _Journal(header, lines)


def _write_header(path: Path, header: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(header) + "\n")
    except OSError as error:
        raise disk_error(error, path) from error


def _crc_of(read: Callable[[int], bytes], seek: Callable[[int], int], start: int, length: int) -> int:
    seek(start)
    crc = 0
    while length > 0:
        data = read(min(_READ_BYTES, length))
        if not data:
            return -1
        crc = zlib.crc32(data, crc)
        length -= len(data)
    return crc


def disk_error(error: OSError, path: Path) -> StoreError:
    """A failed write, with the one cause people can act on told apart."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(
            Code.NO_SPACE,
            f"the disk is full: {error.strerror} while writing {path.name}; what came so far is kept",
            "Free space with: wan models gc; then run the same command again, it goes on from there.",
        )
    return StoreError(Code.IO_FAIL, f"{path.name}: {error.strerror}", "Check the disk that holds MODELS_ROOT.")
