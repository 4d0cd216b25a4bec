"""Files by content: one copy of each, linked into every model that has it.

    .blobs/sha256/ab/abcd…  ◄── hard link ── t2v-A14B/2.2.0/bf16/vae/…
                            ◄── hard link ── anisora/3.2.0/bf16/vae/…

References are counted by reading the records and ledgers, never by a counter that a kill could leave wrong. Blobs are
read-only and only ever unlinked, so a lane that has one mapped keeps it.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warmlane_modelstore.places import Places
from warmlane_modelstore.transfer.part import PartFile, disk_error

_READ_ONLY = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


class LinkKind(StrEnum):
    """How a model's file shares its blob, the best that the volume allows."""

    HARD = "hard"
    SYMBOLIC = "symbolic"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep of unreferenced blobs gave back."""

    count: int
    bytes: int


class BlobStore:
    """The blobs under one MODELS_ROOT."""

    def __init__(self, places: Places, *, kinds: Iterable[LinkKind] = tuple(LinkKind)) -> None:
        """`kinds` are tried in order; fewer than all of them are for tests of what other volumes allow."""
        self._places = places
        self._kinds = tuple(kinds)

    def path(self, sha256: str) -> Path:
        return self._places.blob(sha256)

    def has(self, sha256: str | None, size: int | None = None) -> bool:
        if sha256 is None:
            return False
        try:
            found = self.path(sha256).stat().st_size
        except OSError:
            return False
        return size is None or found == size

    def adopt(self, part: PartFile, sha256: str) -> None:
        """A finished part becomes the blob of its hash."""
        target = self.path(sha256)
        part.take(target)
        target.chmod(_READ_ONLY)

    def adopt_file(self, source: Path, sha256: str) -> None:
        """A file on the same volume becomes the blob of its hash; whoever hashed it vouches for that."""
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        target.chmod(_READ_ONLY)

    def link(self, sha256: str, target: Path) -> LinkKind:
        """Puts the blob's content at `target`, replacing what is there. FileNotFoundError when the blob is gone."""
        blob = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        failure: OSError | None = None
        for kind in self._kinds:
            try:
                _LINKERS[kind](blob, target)
            except FileNotFoundError:
                raise
            except OSError as error:
                target.unlink(missing_ok=True)
                failure = error
            else:
                return kind
        raise disk_error(failure or OSError("no way to link is allowed"), target)

    def discard(self, sha256: str) -> None:
        """Forgets a blob found to hold other bytes. Models linked to it keep theirs until they are repaired."""
        self.path(sha256).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Path]]:
        base = self._places.root / ".blobs" / "sha256"
        if base.is_dir():
            for shelf in sorted(base.iterdir()):
                for blob in sorted(shelf.iterdir()):
                    yield blob.name, blob

    def sweep(self, referenced: set[str], *, dry_run: bool) -> Swept:
        """Deletes what nobody references. A model linked in the meantime keeps its bytes through its own link."""
        count = freed = 0
        for sha256, blob in self.all():
            if sha256 in referenced:
                continue
            found = blob.stat()
            count += 1
            # Another hard link still holds the space.
            freed += found.st_size if found.st_nlink <= 1 else 0
            if not dry_run:
                blob.unlink(missing_ok=True)
        return Swept(count, freed)


def _symlink(blob: Path, target: Path) -> None:
    # Relative, so that MODELS_ROOT may be mounted elsewhere in another container.
    if not blob.exists():
        raise FileNotFoundError(blob)
    target.symlink_to(os.path.relpath(blob, target.parent))


def _copy(blob: Path, target: Path) -> None:
    shutil.copyfile(blob, target)


_LINKERS: dict[LinkKind, Callable[[Path, Path], None]] = {
    LinkKind.HARD: os.link,
    LinkKind.SYMBOLIC: _symlink,
    LinkKind.COPY: _copy,
}
