"""What was verified about a model, beside its files: `.verified.json`, written last and read first.

A model without a record is not there, whatever files lie about. A record names every file with its size, sha256 and
the modification time it had when it was hashed; if any of that changed since, the file is not trusted any more.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from warmlane_modelstore.places import RECORD_NAME

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file as it was when it was hashed. `how` says what vouched for it, `source` where it came from.

    For an encrypted file `sha256` is of what lies on the disk and `clear_sha256` of what is in it.
    `bad` is set by a verify that found other bytes; such a file is fetched again by the next ensure.
    """

    path: str
    size: int
    sha256: str
    mtime_ns: int
    how: str
    source: str
    component: str | None = None
    link: str = "own"
    clear_sha256: str | None = None
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """A file of the source that was turned into others: its hash is all that remains of it."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything known of one published model."""

    id: str
    verified_at: str
    manifest_digest: str
    files: tuple[RecordedFile, ...]
    origins: tuple[Origin, ...] = ()
    converted: str = "none"
    encrypted: bool = False
    family: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def write_record(directory: Path, record: Record) -> None:
    """Replaces the record in one step and has it on the disk when it returns."""
    target = directory / RECORD_NAME
    temporary = directory / f"{RECORD_NAME}.new"
    document = {"schema": SCHEMA, **asdict(record)}
    with temporary.open("w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    sync_directory(directory)


def read_record(path: Path) -> Record | None:
    """The record, or None when there is none that can be read: then the model counts as not there."""
    try:
        raw = json.loads(path.read_bytes())
        if raw["schema"] != SCHEMA:
            return None
        return Record(
            id=raw["id"],
            verified_at=raw["verified_at"],
            manifest_digest=raw["manifest_digest"],
            files=tuple(RecordedFile(**each) for each in raw["files"]),
            origins=tuple(Origin(**each) for each in raw["origins"]),
            converted=raw["converted"],
            encrypted=raw["encrypted"],
            family=raw["family"],
            notes=tuple(raw["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class RecordCache:
    """Records by path, read again only when their file changed: what makes status of a thousand models fast."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], Record | None]] = {}

    def get(self, path: Path) -> Record | None:
        try:
            stat = path.stat()
        except OSError:
            self._known.pop(path, None)
            return None
        identity = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != identity:
            known = (identity, read_record(path))
            self._known[path] = known
        return known[1]


def sync_directory(directory: Path) -> None:
    """Makes renames in `directory` survive a power cut, where directories can be opened."""
    if os.name == "nt":
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
