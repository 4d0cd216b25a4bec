"""The model store as one object: what the CLI, the service and the lanes use.

Making one is cheap and touches nothing; what an operation needs beyond the standard library is imported by that
operation. Thread-safe. `cancel` stops every ensure of this process; what they have fetched is kept.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmlane_modelstore import usage
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.host import Identity, boot_id
from warmlane_modelstore.manifest.entries import Manifest
from warmlane_modelstore.manifest.load import load
from warmlane_modelstore.masking import Masker
from warmlane_modelstore.pins import Pin, Pins
from warmlane_modelstore.places import Places, key_of
from warmlane_modelstore.planning import Planner, directory_of_manifest
from warmlane_modelstore.record import Record
from warmlane_modelstore.resolver import Resolved, Resolver
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.status import ModelStatus, State, StatusReader
from warmlane_modelstore.transfer.progress import Phase, Progress

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from warmlane_modelstore.collect import Collector, Goal, Report
    from warmlane_modelstore.disk import Quota
    from warmlane_modelstore.ensure import Ensurer, Outcome
    from warmlane_modelstore.explain import Explanation
    from warmlane_modelstore.leases.holding import LeaseRoom
    from warmlane_modelstore.leases.uses import Use
    from warmlane_modelstore.migrate import Migrator, Proposal
    from warmlane_modelstore.sealing.view import ClearView
    from warmlane_modelstore.verifying import Verdict


@dataclass(frozen=True, slots=True)
class EnsureOptions:
    """How one ensure shall behave. `fresh` asks sources again that failed a moment ago; `make_room` collects first."""

    wait_s: float = 3600.0
    fresh: bool = False
    accept_license: bool = False
    make_room: bool = False


class ModelStore:
    """One MODELS_ROOT and one manifest."""

    def __init__(self, settings: StoreSettings, manifest: Manifest, *, masker: Masker | None = None) -> None:
        """Use `open`, or this with a manifest of your own."""
        self.settings = settings
        self.manifest = manifest
        self.masker = masker or Masker()
        self.places = Places(settings.root)
        self.resolver = Resolver(manifest, profile=settings.profile)
        self.pins = Pins(self.places)
        self._identity = Identity.current()
        self._statuses = StatusReader(self.places, Planner(self.places, self.resolver, None), self._identity)
        self._stop = threading.Event()

    @classmethod
    def open(cls, settings: StoreSettings, *, masker: Masker | None = None) -> "ModelStore":
        """Reads and checks the manifest. Raises what `load` raises."""
        manifest = load(settings.manifest, public_key=settings.public_key, require_signature=settings.require_signature)
        return cls(settings, manifest, masker=masker)

    # What is there -------------------------------------------------------------------------------------------------

    def status(self, name: str) -> ModelStatus:
        """One model's status; reads only."""
        return self._statuses.status(self.resolver.resolve(name))

    def statuses(self, names: Sequence[str] = ()) -> list[ModelStatus]:
        """Of the named models, or of all in the manifest."""
        chosen = [self.resolver.resolve(name) for name in names] if names else list(self.resolver.all())
        return [self._statuses.status(resolved) for resolved in chosen]

    def record(self, name: str) -> Record:
        """What was verified about a published model. Raises NOT_FOUND when it is not here."""
        resolved = self.resolver.resolve(name)
        record = self._statuses.record(resolved.id)
        if record is None:
            raise StoreError(
                Code.NOT_FOUND, f"{resolved.id} is not here", f"Fetch it with: wan models ensure {resolved.id}"
            )
        return record

    def explain(self, name: str) -> "Explanation":
        """Where a model's bytes go. Raises NOT_FOUND when it is neither here nor was ever listed."""
        from warmlane_modelstore.explain import explain_plan, explain_record  # noqa: PLC0415 - light start

        resolved = self.resolver.resolve(name)
        record = self._statuses.record(resolved.id)
        if record is not None:
            return explain_record(resolved, record, self.collector().published())
        plan = Planner(self.places, self.resolver, None).known(resolved)
        if plan is None:
            raise StoreError(
                Code.NOT_FOUND,
                f"{resolved.id} is not here and its files were never listed",
                f"List and fetch it with: wan models ensure {resolved.id}",
            )
        return explain_plan(resolved, plan)

    # Getting it -----------------------------------------------------------------------------------------------------

    def ensure(self, name: str, options: EnsureOptions | None = None, progress: Progress | None = None) -> "Outcome":
        """The model, complete and verified. Raises StoreError, or Cancelled after `cancel`."""
        from warmlane_modelstore.ensure import Policy  # noqa: PLC0415 - light start

        chosen = options or EnsureOptions()
        resolved = self.resolver.resolve(name)
        shown = progress or Progress(str(resolved.id))
        policy = Policy(wait_s=chosen.wait_s, accept_license=chosen.accept_license)
        with self._ensurer(fresh=chosen.fresh) as ensurer:
            try:
                outcome = ensurer.ensure(resolved, policy, shown, self._stop)
            except StoreError as error:
                if not chosen.make_room or error.code not in {Code.NO_SPACE, Code.QUOTA_EXCEEDED}:
                    raise
                self._make_room(resolved)
                outcome = ensurer.ensure(resolved, policy, shown, self._stop)
        self._check_signature(resolved)
        usage.touch(self.places, resolved.id)
        return outcome

    def _check_signature(self, resolved: Resolved) -> None:
        """Checks a model that was signed here (`wan models sign`) or whose source brought `model.sig` along.

        Raises SIGNATURE_FAIL for one that is not what was signed, or that nothing vouches for where that is demanded.
        """
        from warmlane_modelstore.signing.model import check_published  # noqa: PLC0415 - light start

        settings = self.settings
        check_published(
            self.record(str(resolved.id)),
            bundles=(
                self.places.state("signatures") / f"{key_of(resolved.id)}.sig",
                self.places.model(resolved.id) / "model.sig",
            ),
            public_key=settings.public_key,
            required=settings.require_model_signature,
        )

    def use(self, name: str) -> "Use":
        """The directory of a complete model, protected from collect until the result is closed.

        Raises NOT_FOUND or CORRUPT when it is not complete: call `ensure` first.
        """
        from warmlane_modelstore.leases.uses import begin_use  # noqa: PLC0415 - light start

        resolved = self.resolver.resolve(name)
        use = begin_use(self.places.uses(resolved.id), self.places.model(resolved.id))
        # Announced first and looked at second, so that a collect in between either sees us or is seen.
        status = self._statuses.status(resolved)
        if status.state not in {State.COMPLETE, State.VERIFYING}:
            use.close()
            legacy = self._legacy(resolved)
            if legacy is not None:
                return begin_use(self.places.uses(resolved.id), legacy)
            code = Code.CORRUPT if status.state is State.CORRUPT else Code.NOT_FOUND
            raise StoreError(code, f"{resolved.id} is {status.state}", f"Run: wan models ensure {resolved.id}")
        usage.touch(self.places, resolved.id)
        return use

    def _legacy(self, resolved: Resolved) -> Path | None:
        """The model in the older folder, while the store is being adopted: not verified, only there."""
        root = self.settings.legacy_root
        if "legacy-read" not in self.settings.features or root is None:
            return None
        folder = root / resolved.model.name
        return folder if folder.is_dir() and any(folder.rglob("*.safetensors")) else None

    def clear_view(self, name: str) -> "ClearView":
        """An encrypted model's weights, decrypted into memory. Raises KEY_MISSING, CORRUPT or NOT_FOUND."""
        from warmlane_modelstore.credentials import Vault  # noqa: PLC0415 - light start
        from warmlane_modelstore.sealing.keys import master_key  # noqa: PLC0415
        from warmlane_modelstore.sealing.view import ClearView  # noqa: PLC0415

        record = self.record(name)
        settings = self.settings
        key = master_key(settings.environ, Vault(settings.environ, self.masker, home=settings.home), self.masker)
        directory = self.places.model(self.resolver.resolve(name).id)
        return ClearView(directory, record, key, self.places.root / ".tmp" / "views")

    def cancel(self) -> None:
        self._stop.set()

    # Keeping it -----------------------------------------------------------------------------------------------------

    def verify(self, name: str, *, workers: int, progress: Progress | None = None) -> "Verdict":
        """Hashes every byte of a published model and notes what it found. Raises NOT_FOUND when it is not here."""
        from warmlane_modelstore import verifying  # noqa: PLC0415 - light start

        resolved = self.resolver.resolve(name)
        shown = progress or Progress(str(resolved.id))
        record = self.record(name)
        path = self.places.lease(key_of(resolved.id))
        with self.room().hold(
            path, what=str(resolved.id), wait_s=60.0, stop=self._stop, progress=shown.snapshot
        ) as held:
            shown.enter(Phase.VERIFYING, total=record.size)
            held.lease.beat(shown.snapshot())
            directory = self.places.model(resolved.id)
            verdict = verifying.verify(directory, record, workers=workers, seen=shown.add)
            held.check()
            verifying.note(directory, record, verdict)
        return verdict

    def collect(self, goal: "Goal", *, dry_run: bool) -> "Report":
        return self.collector().collect(goal, dry_run=dry_run)

    def migrator(self) -> "Migrator":
        from warmlane_modelstore.blobs import BlobStore  # noqa: PLC0415 - light start
        from warmlane_modelstore.migrate import Migrator  # noqa: PLC0415

        return Migrator(self.places, BlobStore(self.places), Planner(self.places, self.resolver, None))

    def propose_migration(self, folder: Path, only: Resolved | None) -> "tuple[list[Proposal], list[str]]":
        """What `folder` holds of this manifest's models, and the models that were never listed here."""
        planner = Planner(self.places, self.resolver, None)
        chosen = [only] if only else list(self.resolver.every_variant())
        unlisted = [str(resolved.id) for resolved in chosen if planner.known(resolved) is None]
        return self.migrator().propose(folder, chosen, only=only), unlisted

    def pin(self, name: str, reason: str = "") -> Pin:
        return self.pins.pin(self.resolver.resolve(name).id, reason)

    def unpin(self, name: str) -> bool:
        return self.pins.unpin(self.resolver.resolve(name).id)

    # Wiring ---------------------------------------------------------------------------------------------------------

    def room(self) -> "LeaseRoom":
        from warmlane_modelstore.leases.holding import LeaseRoom, Timing  # noqa: PLC0415 - light start

        # Each operation is an owner of its own: two threads of one process must exclude each other, too.
        return LeaseRoom(Identity.current(), Timing())

    def collector(self) -> "Collector":
        from warmlane_modelstore.blobs import BlobStore  # noqa: PLC0415 - light start
        from warmlane_modelstore.collect import Collector  # noqa: PLC0415

        return Collector(self.places, BlobStore(self.places), self.room())

    def _quotas(self, resolved: Resolved) -> "list[Quota]":
        collector = self.collector()
        total = self.settings.quota or self.manifest.quota_bytes
        found = [collector.quota(total, None)] if total else []
        family = dict(self.manifest.family_quota_bytes).get(resolved.model.family)
        return found + ([collector.quota(family, resolved.model.family)] if family else [])

    def _make_room(self, resolved: Resolved) -> None:
        from warmlane_modelstore.collect import Goal  # noqa: PLC0415 - light start

        needed = self._statuses.status(resolved).bytes_needed
        self.collect(Goal(free=needed), dry_run=False)

    def _ensurer(self, *, fresh: bool) -> "AbstractContextManager[Ensurer]":
        from warmlane_modelstore.wiring import open_ensurer  # noqa: PLC0415 - light start: brings sources and TLS

        return open_ensurer(
            settings=self.settings,
            places=self.places,
            resolver=self.resolver,
            masker=self.masker,
            statuses=self._statuses,
            room=self.room(),
            quotas=self._quotas,
            manifest_digest=self.manifest.digest,
            manifest_dir=directory_of_manifest(self.manifest.origin),
            boot_id=boot_id(),
            fresh=fresh,
        )
