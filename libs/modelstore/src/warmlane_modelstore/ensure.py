"""Ensure: afterwards the model is there, whole and verified, or a StoreError says why not and what to do.

    complete? ─► yes: done
       └ no ─► lease (wait, showing the holder's progress) ─► complete now? ─► done
                 └ plan ─► room? quota? ─► bring ─► convert ─► build ─► publish ─► done

Every step can be killed. What it had finished lies in `.tmp` and `.blobs`, referenced by the ledger, and the next
ensure goes on from there; a model is visible only after the last rename.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.bring import Bringer
from warmlane_modelstore.convert.converter import Converter
from warmlane_modelstore.disk import Quota, measure, require_quota, require_room
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.host import long_paths_enabled
from warmlane_modelstore.leases.holding import Held, LeaseRoom
from warmlane_modelstore.leases.lease import Holder
from warmlane_modelstore.leases.lease import read as read_lease
from warmlane_modelstore.ledger import Finished, Ledger
from warmlane_modelstore.manifest.entries import Convert, Source
from warmlane_modelstore.manifest.identity import ModelId
from warmlane_modelstore.manifest.pathrules import length_problem
from warmlane_modelstore.places import Places, key_of
from warmlane_modelstore.planning import Plan, PlannedFile, Planner
from warmlane_modelstore.publish import Publisher
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.sources.base import SourceClient
from warmlane_modelstore.status import State, StatusReader
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.download import Downloader
from warmlane_modelstore.transfer.part import disk_error
from warmlane_modelstore.transfer.progress import Phase, Progress
from warmlane_modelstore.verifying import hash_file


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an ensure did. `how` is `present` (nothing to do), `waited` (another process did it) or `fetched`."""

    id: ModelId
    path: Path
    how: str
    bytes_fetched: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Policy:
    """What one ensure may do."""

    wait_s: float = 3600.0
    accept_license: bool = False


class Ensurer:
    """Ensures models of one store. `downloader` makes one per ensure, bound to its stop event."""

    def __init__(
        self,
        *,
        places: Places,
        blobs: BlobStore,
        planner: Planner,
        statuses: StatusReader,
        room: LeaseRoom,
        publisher: Publisher,
        converter: Converter,
        downloader: Callable[[threading.Event], Downloader],
        clients: Callable[[Sequence[Source]], list[SourceClient]],
        quotas: Callable[[Resolved], list[Quota]],
        referenced: Callable[[], set[str]],
        seals: bool,
        margin: int | None,
        files: int,
        accepted_licenses: frozenset[str],
    ) -> None:
        self._places = places
        self._blobs = blobs
        self._planner = planner
        self._statuses = statuses
        self._room = room
        self._publisher = publisher
        self._converter = converter
        self._downloader = downloader
        self._clients = clients
        self._quotas = quotas
        self._referenced = referenced
        self._seals = seals
        self._margin = margin
        self._files = files
        self._accepted = accepted_licenses

    def ensure(self, resolved: Resolved, policy: Policy, progress: Progress, stop: threading.Event) -> Outcome:
        """Returns once the model is COMPLETE. Raises StoreError, or Cancelled when `stop` is set by the caller."""
        try:
            return self._ensure(resolved, policy, progress, stop)
        except OSError as error:
            # A disk may fill or fail at any small write: a ledger line, a record, a rename.
            raise disk_error(error, Path(error.filename or self._places.root)) from error

    def _ensure(self, resolved: Resolved, policy: Policy, progress: Progress, stop: threading.Event) -> Outcome:
        began = time.monotonic()
        self._check_license(resolved, policy)
        if self._statuses.status(resolved).ready:
            return self._outcome(resolved, "present", 0, began)
        # Set by the caller, by a failing sibling file, or by the loss of the lease: all work of this ensure stops.
        halt = _Halt(stop)
        with self._room.hold(
            self._places.lease(key_of(resolved.id)),
            what=str(resolved.id),
            wait_s=policy.wait_s,
            stop=stop,
            lost=halt.event,
            progress=progress.snapshot,
            waiting=lambda holder: _mirror(progress, holder),
        ) as held:
            # While holding, the lease itself would read as an activity of ours: look at the files only.
            if self._statuses.status(resolved).state is State.COMPLETE:
                return self._outcome(resolved, "waited", 0, began)
            try:
                fetched = self._do(resolved, policy, progress, held, halt)
            except Cancelled:
                held.check()
                raise
            progress.enter(Phase.DONE)
            return self._outcome(resolved, "fetched", fetched, began)

    def _do(self, resolved: Resolved, policy: Policy, progress: Progress, held: Held, halt: "_Halt") -> int:
        self._publisher.refuse_foreign(resolved)
        progress.enter(Phase.LISTING)
        plan = self._planner.make(resolved)
        progress.enter(Phase.CHECKING)
        self._check_lengths(resolved, plan)
        ledger = Ledger(self._places.ledger(resolved.id))
        self._reuse(resolved, ledger)
        downloader = self._downloader(halt.event)
        bringer = Bringer(
            self._places,
            self._blobs,
            self._room,
            downloader,
            self._clients,
            owner=key_of(resolved.id),
            files=self._files,
            stop=halt.event,
            wait_s=policy.wait_s,
        )
        try:
            missing = bringer.missing(plan, ledger)
            self._require_room(resolved, plan, missing)
            progress.enter(Phase.DOWNLOADING, total=sum(file.spec.size or 0 for file in missing))
            bringer.bring(missing, ledger, progress)
        finally:
            downloader.close()
        held.check()
        if resolved.variant.convert is not Convert.NONE:
            self._converter.convert(resolved, ledger, progress, halt.event)
        progress.enter(Phase.PUBLISHING)
        record = self._publisher.build(resolved, ledger.read(), plan.inlines)
        held.check()
        self._publisher.publish(resolved)
        ledger.delete()
        self._publisher.forget_clear(record, self._referenced)
        self._publisher.clean(resolved)
        return bringer.fetched_bytes

    def _check_lengths(self, resolved: Resolved, plan: Plan) -> None:
        """Windows refuses long paths half way through; say so before the first byte."""
        windows = sys.platform == "win32"
        for file in plan.files:
            absolute = str(self._places.model(resolved.id).absolute() / file.spec.path)
            problem = length_problem(absolute, windows=windows, long_paths=windows and long_paths_enabled())
            if problem:
                raise StoreError(Code.IO_FAIL, problem, "Enable long paths, or set MODELS_ROOT to a shorter path.")

    def _reuse(self, resolved: Resolved, ledger: Ledger) -> None:
        """Takes over what is intact of an earlier publication, and drops blobs that changed with its files.

        A file that changed under its name may share its inode with a blob: that blob must not mend it.
        """
        record = self._statuses.record(resolved.id)
        if record is None:
            return
        suspects = {problem.path for problem in self._statuses.status(resolved).problems}
        for file in record.files:
            changed = file.path in suspects and self._blobs.has(file.sha256)
            if changed and hash_file(self._blobs.path(file.sha256)) != file.sha256:
                self._blobs.discard(file.sha256)
        good = [file for file in record.files if file.how != "manifest" and self._blobs.has(file.sha256, file.size)]
        outputs = [file for file in record.files if file.how == "converted"]
        # One output gone means its sources are needed again, and with them all of them.
        whole = all(file in good for file in outputs)
        for file in good:
            if whole or file.how != "converted":
                ledger.add(Finished(file.path, file.size, file.sha256, file.how, file.source))
        for origin in record.origins if whole else ():
            ledger.add(Finished(origin.path, origin.size, origin.sha256, "sha256", "store", raw=True, consumed=True))

    def _require_room(self, resolved: Resolved, plan: Plan, missing: Sequence[PlannedFile]) -> None:
        status = self._statuses.status(resolved)
        known = {problem.path: problem.bytes_needed for problem in status.problems}
        needed = sum(known.get(file.spec.path, file.spec.size or 0) for file in missing)
        needed += self._converter.extra_bytes(resolved, plan)
        # Encrypted copies lie beside the clear ones until the model is published.
        needed += plan.size if self._seals else 0
        for quota in self._quotas(resolved):
            require_quota(quota, needed, str(resolved.id))
        room = measure(self._places.root, promised=self._promised(resolved.id), margin=self._margin)
        require_room(room, needed, str(resolved.id))

    def _promised(self, mine: ModelId) -> int:
        """What other models' ensures have still to write, by their leases."""
        promised = 0
        for path in self._places.lease("x").parent.glob("*.lease"):
            if path.name == f"{key_of(mine)}.lease" or path.name.startswith("blob-"):
                continue
            holder = read_lease(path)
            if holder is None or holder.progress is None or self._room.identity.knows_dead(holder.identity):
                continue
            promised += max(0, holder.progress.bytes_total - holder.progress.bytes_done)
        return promised

    def _check_license(self, resolved: Resolved, policy: Policy) -> None:
        found = resolved.model.license
        if found.accept and not policy.accept_license and found.spdx not in self._accepted:
            raise StoreError(
                Code.LICENSE_REFUSED,
                f"{resolved.id} is under {found.spdx}, which has to be accepted: {found.url}",
                f"Accept it with --accept-license, or set WAN_MODELS_ACCEPT_LICENSES={found.spdx}.",
            )

    def _outcome(self, resolved: Resolved, how: str, fetched: int, began: float) -> Outcome:
        return Outcome(resolved.id, self._places.model(resolved.id), how, fetched, time.monotonic() - began)


class _Halt:
    """An event of our own that the caller's also sets: a failing file stops its siblings, not the whole store."""

    def __init__(self, stop: threading.Event) -> None:
        self.event = _Linked(stop)


class _Linked(threading.Event):
    def __init__(self, parent: threading.Event) -> None:
        super().__init__()
        self._parent = parent

    def is_set(self) -> bool:
        return super().is_set() or self._parent.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wakes for either; the parent is looked at every tenth of a second."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if left <= 0:
                break
            super().wait(left)
        return self.is_set()


def _mirror(progress: Progress, holder: Holder) -> None:
    if holder.progress is not None:
        progress.mirror(holder.progress)
