"""Re-hashing what is published: every byte read again, files side by side, each by one thread.

One thread per file and plain reads into one reused buffer: measured faster than memory maps and than separate reader
threads, because hashing releases the interpreter lock and the kernel reads ahead anyway.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from warmlane_modelstore.record import Record, RecordedFile, write_record

_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One file looked at. `reason` is empty when it is as recorded."""

    path: str
    component: str | None
    size: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One model looked at, byte by byte."""

    files: tuple[FileVerdict, ...]
    bytes_read: int

    @property
    def intact(self) -> bool:
        return not any(file.reason for file in self.files)

    @property
    def bad(self) -> tuple[FileVerdict, ...]:
        return tuple(file for file in self.files if file.reason)


def hash_file(path: Path, seen: Callable[[int], None] = lambda _: None) -> str:
    """sha256 of a file; `seen` is told of every buffer."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            seen(count)
    return digest.hexdigest()


def verify(directory: Path, record: Record, *, workers: int, seen: Callable[[int], None] = lambda _: None) -> Verdict:
    """Hashes every file of the record, the largest first so that no thread is left with one at the end."""
    files = sorted(record.files, key=lambda file: -file.size)
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="store-verify") as pool:
        verdicts = list(pool.map(lambda file: _judge(directory, file, seen), files))
    verdicts.sort(key=lambda verdict: verdict.path)
    return Verdict(tuple(verdicts), sum(v.size for v in verdicts))


def _judge(directory: Path, file: RecordedFile, seen: Callable[[int], None]) -> FileVerdict:
    path = directory / file.path
    try:
        size = path.stat().st_size
        if size != file.size:
            return FileVerdict(file.path, file.component, 0, f"has {size} bytes instead of {file.size}")
        digest = hash_file(path, seen)
    except FileNotFoundError:
        return FileVerdict(file.path, file.component, 0, "missing")
    except OSError as error:
        return FileVerdict(file.path, file.component, 0, f"cannot be read: {error.strerror}")
    reason = "" if digest == file.sha256 else f"sha256 is {digest[:16]}…, expected {file.sha256[:16]}…"
    return FileVerdict(file.path, file.component, file.size, reason)


def note(directory: Path, record: Record, verdict: Verdict) -> None:
    """Writes what was found into the record: bad files marked, good ones with the time they have now."""
    bad = {found.path for found in verdict.bad}
    files = tuple(_noted(directory, file, is_bad=file.path in bad) for file in record.files)
    write_record(directory, replace(record, files=files, verified_at=datetime.now(UTC).isoformat(timespec="seconds")))


def _noted(directory: Path, file: RecordedFile, *, is_bad: bool) -> RecordedFile:
    try:
        mtime = (directory / file.path).stat().st_mtime_ns
    except OSError:
        return replace(file, bad=is_bad)
    return replace(file, bad=is_bad, mtime_ns=file.mtime_ns if is_bad else mtime)
