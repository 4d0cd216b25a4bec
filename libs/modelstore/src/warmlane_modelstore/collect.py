"""Making room: which models go, in which order, and what is said about those that stay.

    published models ─► kept: pinned · in use · being worked on · too young (ttl) · not of the family
                   └─► the rest, least recently used first, until the target is reached

Dry run and real run make the same decisions; the report says for every model why it went or stayed.
"""

import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warmlane_modelstore import usage
from warmlane_modelstore.blobs import BlobStore, Swept
from warmlane_modelstore.disk import Quota
from warmlane_modelstore.leases.holding import LeaseRoom
from warmlane_modelstore.leases.uses import users
from warmlane_modelstore.ledger import Ledger
from warmlane_modelstore.manifest.identity import ModelId
from warmlane_modelstore.pins import Pins
from warmlane_modelstore.places import OWN_DIRECTORIES, RECORD_NAME, Places, key_of
from warmlane_modelstore.record import Record, RecordCache

_PART_TTL_S = 7 * 24 * 3600.0


class Decision(StrEnum):
    """What collect does with a model."""

    REMOVED = "removed"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Item:
    """One model in the report. `frees` counts only bytes no other model shares."""

    model: str
    decision: Decision
    reason: str
    frees: int
    last_used: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of a collection; with `dry_run` nothing was touched. `freed` includes blobs and old parts."""

    items: tuple[Item, ...]
    swept: Swept
    stale_parts: int
    freed: int
    wanted: int | None
    dry_run: bool

    @property
    def enough(self) -> bool:
        return self.wanted is None or self.freed >= self.wanted


@dataclass(frozen=True, slots=True)
class Goal:
    """What to make room for. Without `free`, everything idle for `idle_s` goes; with it, only as much as needed."""

    free: int | None = None
    idle_s: float = 0.0
    family: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """A model directory with a record."""

    id: ModelId
    directory: Path
    record: Record


class Collector:
    """Collects in one store. `records` is shared with status."""

    def __init__(
        self,
        places: Places,
        blobs: BlobStore,
        room: LeaseRoom,
        *,
        records: RecordCache | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._places = places
        self._blobs = blobs
        self._room = room
        self._records = records or RecordCache()
        self._clock = clock
        self._pins = Pins(places)

    def published(self) -> list[Published]:
        """Every model with a readable record under MODELS_ROOT, whether a manifest knows it or not."""
        found: list[Published] = []
        for path in sorted(self._places.root.glob(f"*/*/*/{RECORD_NAME}")):
            variant = path.parent
            if variant.parent.parent.name in OWN_DIRECTORIES:
                continue
            record = self._records.get(path)
            if record is not None:
                found.append(Published(ModelId.parse(record.id), variant, record))
        return found

    def used_bytes(self, family: str | None = None) -> int:
        """Bytes the store holds in models (shared ones once), of all or of one family."""
        counted: dict[str, int] = {}
        for model in self.published():
            if family is None or model.record.family == family:
                counted |= {file.sha256: file.size for file in model.record.files}
        return sum(counted.values())

    def quota(self, limit: int, family: str | None) -> Quota:
        return Quota(family, limit, self.used_bytes(family))

    def collect(self, goal: Goal, *, dry_run: bool) -> Report:
        """Removes what the goal asks for and nothing that is pinned, used or worked on."""
        models = sorted(self.published(), key=lambda model: usage.last_used(self._places, model.id))
        sharing = _Sharing(models)
        items: list[Item] = []
        # First what nobody references at all: it costs nobody anything.
        swept = self._sweep(models, dry_run=dry_run)
        stale = self._sweep_parts(goal, dry_run=dry_run)
        freed = swept.bytes + stale
        for model in models:
            reason = self._keeping(model, goal, freed)
            frees = 0 if reason else sharing.remove(model)
            if not reason and not dry_run:
                reason = self._remove(model)
            items.append(
                Item(
                    model=str(model.id),
                    decision=Decision.KEPT if reason else Decision.REMOVED,
                    reason=reason or "least recently used",
                    frees=0 if reason else frees,
                    last_used=usage.last_used(self._places, model.id),
                )
            )
            freed += 0 if reason else frees
        if not dry_run:
            self._sweep(self.published(), dry_run=False)
        return Report(tuple(items), swept, stale, freed, goal.free, dry_run)

    def _keeping(self, model: Published, goal: Goal, freed: int) -> str:
        """Why the model stays; empty when it may go."""
        pin = self._pins.get(model.id)
        if pin is not None:
            return f"pinned: {pin.reason}" if pin.reason else "pinned"
        if goal.family is not None and model.record.family != goal.family:
            return f"not of the family {goal.family}"
        now = self._clock()
        mapped = users(self._places.uses(model.id), self._room, now=now)
        if mapped:
            return f"in use by {mapped[0]}"
        if self._room.living(self._places.lease(key_of(model.id))):
            return "being worked on"
        if goal.free is not None and freed >= goal.free:
            return "enough was freed"
        idle = now - usage.last_used(self._places, model.id)
        if idle < goal.idle_s:
            return f"used {idle / 3600:.1f} h ago"
        return ""

    def _remove(self, model: Published) -> str:
        """Why it could not be removed, or nothing. Renamed away first, so that it never looks half there."""
        lease = self._room.try_hold(self._places.lease(key_of(model.id)))
        if lease is None:
            return "being worked on"
        try:
            if users(self._places.uses(model.id), self._room, now=self._clock()):
                return "in use"
            aside = self._places.trash() / uuid.uuid4().hex
            aside.parent.mkdir(parents=True, exist_ok=True)
            model.directory.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
            usage.forget(self._places, model.id)
            for empty in (model.directory.parent, model.directory.parent.parent):
                _remove_if_empty(empty)
        finally:
            lease.release()
        return ""

    def _sweep(self, models: Sequence[Published], *, dry_run: bool) -> Swept:
        return self._blobs.sweep(self._referenced(models, None), dry_run=dry_run)

    def referenced(self, but: Path | None = None) -> set[str]:
        """Hashes of all blobs that a published model or a running ensure needs; `but` is a ledger not to count."""
        return self._referenced(self.published(), but)

    def _referenced(self, models: Sequence[Published], but: Path | None) -> set[str]:
        found = {file.sha256 for model in models for file in model.record.files}
        ledgers = self._places.root / ".tmp" / "ledgers"
        for ledger in ledgers.iterdir() if ledgers.is_dir() else ():
            if ledger != but:
                found |= {finished.sha256 for finished in Ledger(ledger).read().values()}
        return found

    def _sweep_parts(self, goal: Goal, *, dry_run: bool) -> int:
        """Deletes unfinished downloads nobody went on with for a week, or all idle ones when asked for."""
        freed = 0
        parts = self._places.parts()
        for part in parts.glob("*.part") if parts.is_dir() else ():
            stat = part.stat()
            old = self._clock() - stat.st_mtime > _PART_TTL_S
            if (old or goal.partial) and not self._room.living(self._places.lease(f"blob-{part.stem}")):
                freed += stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size
                if not dry_run:
                    part.unlink(missing_ok=True)
                    part.with_suffix(".journal").unlink(missing_ok=True)
        return freed


class _Sharing:
    """How many bytes go with a model: those of files no remaining model has."""

    def __init__(self, models: Sequence[Published]) -> None:
        self._holders: dict[str, int] = {}
        for model in models:
            for digest in {file.sha256 for file in model.record.files}:
                self._holders[digest] = self._holders.get(digest, 0) + 1

    def remove(self, model: Published) -> int:
        frees = 0
        for digest, size in {file.sha256: file.size for file in model.record.files}.items():
            self._holders[digest] -= 1
            frees += size if self._holders[digest] == 0 else 0
        return frees


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return
