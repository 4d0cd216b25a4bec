"""Taking over models that lie in an older layout, without fetching them again, and back if need be.

    old folder ─► which model is it? ─► which of its files are here? ─► hashed ─► blobs + ledger ─► ensure does the rest
                                                     └─► journal: every move, for rollback

Known layouts: a folder per model (`models/t2v-A14B/…`, flat or by version), a folder of the repository's name, the hub
cache (`models--org--name/snapshots/<commit>/…`), and a single file beside others. A file is taken only when its bytes
are what the manifest or listing says; where neither says, size decides and the record notes `migrated`.

The old place may stay usable meanwhile (`keep` links instead of moving), and after a full migration a link is left in
its place, so that whoever still reads the old path finds the same files.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.ledger import Finished, Ledger
from warmlane_modelstore.manifest.entries import SourceKind
from warmlane_modelstore.places import Places
from warmlane_modelstore.planning import PlannedFile, Planner
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.verifying import hash_file


@dataclass(frozen=True, slots=True)
class Take:
    """One file that can be taken over, and whether its content is vouched for."""

    path: str
    source: str
    size: int
    sha256: str
    raw: bool
    how: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One model found in an old layout. `action`: adopt (all is there), resume (ensure fetches the rest), skip (nothing)."""

    resolved: Resolved
    folder: Path
    takes: tuple[Take, ...]
    missing: tuple[str, ...]

    @property
    def action(self) -> str:
        if not self.takes:
            return "skip"
        return "resume" if self.missing else "adopt"


@dataclass(frozen=True, slots=True)
class Moved:
    """One journal line: where a file was, and which blob it became."""

    path: str
    sha256: str
    linked: bool


class Migrator:
    """Migrates into one store. Reads sources only through the planner's known plans: no network."""

    def __init__(self, places: Places, blobs: BlobStore, planner: Planner) -> None:
        self._places = places
        self._blobs = blobs
        self._planner = planner

    def propose(self, folder: Path, models: Iterable[Resolved], *, only: Resolved | None = None) -> list[Proposal]:
        """What `folder` holds of the manifest's models. Hashes every candidate; changes nothing."""
        if not folder.is_dir():
            raise StoreError(Code.NOT_FOUND, f"{folder} is no folder", "Name the old models folder.")
        if only is not None:
            return [self._propose(only, folder)]
        found: list[Proposal] = []
        for resolved in models:
            if self._planner.known(resolved) is None:
                continue
            for candidate in _candidates(folder, resolved):
                proposal = self._propose(resolved, candidate)
                if proposal.takes:
                    found.append(proposal)
                    break
        return found

    def _propose(self, resolved: Resolved, folder: Path) -> Proposal:
        plan = self._planner.known(resolved)
        if plan is None:
            raise _never_listed(resolved, folder)
        takes: list[Take] = []
        missing: list[str] = []
        for file in plan.files:
            take = _match(folder, file)
            if take is None:
                missing.append(file.spec.path)
            else:
                takes.append(take)
        return Proposal(resolved, folder, tuple(takes), tuple(missing))

    def adopt(self, proposals: Iterable[Proposal], *, keep: bool) -> str:
        """Moves (or links) all proposed files into the blobs; returns the migration's id for `rollback`."""
        identity = datetime.now(UTC).strftime("%Y%m%dT%H%M%S") + f"-{uuid.uuid4().hex[:6]}"
        journal = self._journal(identity)
        journal.parent.mkdir(parents=True, exist_ok=True)
        for proposal in proposals:
            ledger = Ledger(self._places.ledger(proposal.resolved.id))
            for take in proposal.takes:
                ledger.add(Finished(take.path, take.size, take.sha256, take.how, "migration", raw=take.raw))
                # Journalled first: rolling back a move that never happened does nothing.
                with journal.open("a") as file:
                    file.write(json.dumps(asdict(Moved(take.source, take.sha256, keep))) + "\n")
                self._adopt(Path(take.source), take.sha256, keep=keep)
        return identity

    def _adopt(self, source: Path, sha256: str, *, keep: bool) -> None:
        target = self._blobs.path(sha256)
        if target.exists():
            if not keep:
                source.unlink()
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        real = source.resolve()
        incoming = target.with_suffix(".incoming")
        incoming.unlink(missing_ok=True)
        try:
            os.link(real, incoming)
        except OSError:
            # Another volume: the only case in which bytes are copied.
            shutil.copyfile(real, incoming)
        self._blobs.adopt_file(incoming, sha256)
        if not keep:
            source.unlink()

    def leave_link(self, proposal: Proposal) -> None:
        """Where the old folder is empty now, a link to the new place, so that old paths go on working."""
        for directory, _, files in os.walk(proposal.folder, topdown=False):
            if not files:
                _remove_if_empty(Path(directory))
        if not proposal.folder.exists():
            proposal.folder.symlink_to(self._places.model(proposal.resolved.id), target_is_directory=True)

    def rollback(self, identity: str) -> list[str]:
        """Puts every file of a migration back where it was; returns their paths. The models stay until collected."""
        journal = self._journal(identity)
        if not journal.exists():
            known = sorted(path.stem for path in journal.parent.glob("*.jsonl")) if journal.parent.is_dir() else []
            raise StoreError(
                Code.NOT_FOUND, f"there is no migration {identity!r}", f"There are: {', '.join(known) or 'none'}"
            )
        restored = [path for moved in _read(journal) if (path := self._restore(moved))]
        journal.unlink()
        return restored

    def _restore(self, moved: Moved) -> str:
        target, blob = Path(moved.path), self._blobs.path(moved.sha256)
        for parent in target.parents:
            # A link left in place of the old folder makes way for the folder.
            if not moved.linked and parent.is_symlink():
                parent.unlink()
        if moved.linked or target.exists() or not blob.exists():
            return ""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, target)
        except OSError:
            shutil.copyfile(blob, target)
        return str(target)

    def _journal(self, identity: str) -> Path:
        return self._places.state("migrations") / f"{Path(identity).name}.jsonl"


def _candidates(folder: Path, resolved: Resolved) -> Iterator[Path]:
    """Folders that may hold the model, by the names people and tools give them."""
    model = resolved.model
    hubs = [source for source in resolved.sources if source.kind is SourceKind.HUB and source.repo]
    names = [model.name, f"{model.name}-{resolved.variant.name}", str(resolved.id)]
    for source in hubs:
        organisation, _, repository = (source.repo or "").partition("/")
        names += [repository, f"{organisation}/{repository}"]
        snapshots = folder / f"models--{organisation}--{repository}" / "snapshots"
        for snapshot in sorted(snapshots.iterdir()) if snapshots.is_dir() else ():
            yield snapshot / source.subfolder.strip("/") if source.subfolder else snapshot
    lower = {path.name.casefold(): path for path in folder.iterdir()}
    for name in names:
        found = folder / name if "/" in name else lower.get(name.casefold(), folder / name)
        if found.is_dir():
            yield from (found / source.subfolder.strip("/") for source in hubs if source.subfolder)
            yield found
            yield from (
                found / model.version,
                found / resolved.variant.name,
                found / model.version / resolved.variant.name,
            )
    # Files dropped into one folder, as ComfyUI wants them.
    yield folder
    yield folder / "checkpoints"


def _match(folder: Path, file: PlannedFile) -> Take | None:
    """The file in the folder under its path, its source's path or its bare name, if its bytes are the wanted ones."""
    spec = file.spec
    for name in dict.fromkeys((spec.path, spec.remote, Path(spec.remote).name)):
        path = folder / name
        if not path.is_file() or (spec.size is not None and path.stat().st_size != spec.size):
            continue
        digest = hash_file(path)
        if spec.sha256 is not None and digest != spec.sha256:
            continue
        how = "migrated" if spec.sha256 is None else ("source-sha256" if file.claimed else "sha256")
        return Take(spec.path, str(path), path.stat().st_size, digest, file.raw, how)
    return None


def _never_listed(resolved: Resolved, folder: Path) -> StoreError:
    """There is nothing to compare with, so nothing is taken until there is."""
    return StoreError(
        Code.NOT_FOUND,
        f"the files of {resolved.id} were never listed on this node, so {folder} cannot be compared with anything",
        f"List them once (needs the network): wan models ensure {resolved.id}; stop it after the listing and migrate.",
    )


def _read(journal: Path) -> list[Moved]:
    return [Moved(**json.loads(line)) for line in journal.read_text().splitlines() if line.strip()]


def _remove_if_empty(directory: Path) -> None:
    try:
        directory.rmdir()
    except OSError:
        return
