"""What lies on this node, told in microseconds: records and file times, no hashing, no network, no side effect.

record? ── yes ─► every file as recorded? ── yes ─► COMPLETE
   │                  ├─ a file is gone ─► PARTIAL
   │                  └─ other size or time, or marked bad ─► CORRUPT
   └ no ─► plan known? ─► parts and blobs there? ─► PARTIAL, else NOT_PRESENT
while a verify or the last check of an ensure runs: VERIFYING
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from warmlane_modelstore.host import Identity
from warmlane_modelstore.leases.lease import read as read_lease
from warmlane_modelstore.ledger import Ledger, ledger_key
from warmlane_modelstore.manifest.identity import ModelId
from warmlane_modelstore.places import Places, key_of
from warmlane_modelstore.planning import Plan, PlannedFile, Planner, part_name
from warmlane_modelstore.record import Record, RecordCache, RecordedFile
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.transfer.progress import Phase, Snapshot


class State(StrEnum):
    """The five states of requirement C8."""

    NOT_PRESENT = "NOT_PRESENT"
    PARTIAL = "PARTIAL"
    VERIFYING = "VERIFYING"
    COMPLETE = "COMPLETE"
    CORRUPT = "CORRUPT"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that is not as it should be, and how many bytes would mend it."""

    path: str
    component: str | None
    reason: str
    bytes_needed: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model on this node. `exact` is False while nobody has listed its files: bytes are then the manifest's guess."""

    id: ModelId
    state: State
    path: Path
    bytes_total: int
    bytes_present: int
    bytes_needed: int
    exact: bool
    problems: tuple[FileProblem, ...] = ()
    activity: Snapshot | None = None

    @property
    def ready(self) -> bool:
        return self.state is State.COMPLETE


class StatusReader:
    """Reads status; keeps records in memory between calls."""

    def __init__(self, places: Places, planner: Planner, identity: Identity) -> None:
        self._places = places
        self._planner = planner
        self._identity = identity
        self._records = RecordCache()

    def record(self, model: ModelId) -> Record | None:
        return self._records.get(self._places.record(model))

    def status(self, resolved: Resolved) -> ModelStatus:
        """The state of one model. Pure reading; safe at any moment of anybody's ensure."""
        activity = self._activity(resolved.id)
        record = self.record(resolved.id)
        found = self._unrecorded(resolved) if record is None else self._recorded(resolved, record)
        checking = activity is not None and activity.phase in {Phase.VERIFYING, Phase.PUBLISHING}
        return ModelStatus(
            id=resolved.id,
            state=State.VERIFYING if checking else found.state,
            path=self._places.model(resolved.id),
            bytes_total=found.total,
            bytes_present=found.present,
            bytes_needed=found.total - found.present,
            exact=found.exact,
            problems=tuple(found.problems),
            activity=activity,
        )

    def _activity(self, model: ModelId) -> Snapshot | None:
        holder = read_lease(self._places.lease(key_of(model)))
        # A killed holder's last words are no activity.
        return None if holder is None or self._identity.knows_dead(holder.identity) else holder.progress

    def _recorded(self, resolved: Resolved, record: Record) -> "_Found":
        directory = self._places.model(resolved.id)
        problems = [problem for file in record.files if (problem := _judge(directory, file)) is not None]
        problems += _outdated(resolved, record)
        needed = sum(problem.bytes_needed for problem in problems)
        if not problems:
            state = State.COMPLETE
        else:
            missing = all(problem.reason == _MISSING for problem in problems)
            state = State.PARTIAL if missing else State.CORRUPT
        return _Found(state, record.size, record.size - needed, problems, exact=True)

    def _unrecorded(self, resolved: Resolved) -> "_Found":
        plan = self._planner.known(resolved)
        if plan is None:
            guess = resolved.variant.approximate_bytes or resolved.variant.weights_bytes or 0
            return _Found(State.NOT_PRESENT, guess, 0, [], exact=False)
        return self._planned(resolved, plan)

    def _planned(self, resolved: Resolved, plan: Plan) -> "_Found":
        finished = Ledger(self._places.ledger(resolved.id)).read()
        problems: list[FileProblem] = []
        present = 0
        for file in plan.files:
            size = file.spec.size or 0
            done = ledger_key(file.spec.path, raw=file.raw) in finished
            have = size if done else self._bytes_of(file, resolved)
            present += have
            if have < size or (size == 0 and not done):
                problems.append(FileProblem(file.spec.path, file.spec.component, _MISSING, size - have))
        exact = all(file.spec.size is not None for file in plan.files)
        state = State.PARTIAL if present else State.NOT_PRESENT
        return _Found(state, plan.size, present, problems, exact=exact)

    def _bytes_of(self, file: PlannedFile, resolved: Resolved) -> int:
        """Bytes of a file that need not come again: its blob from another model, or what its part holds."""
        spec = file.spec
        if spec.sha256 is not None:
            try:
                return self._places.blob(spec.sha256).stat().st_size
            except OSError:
                pass
        journal = self._places.parts() / f"{part_name(file, key_of(resolved.id))}.journal"
        return min(spec.size or 0, _journalled(journal))


_MISSING = "missing"
# sealing.sealed.SUFFIX; not imported, it brings cryptography with it.
_SEALED = ".sealed"


class _Found:
    """What the two ways of looking have in common."""

    def __init__(self, state: State, total: int, present: int, problems: list[FileProblem], *, exact: bool) -> None:
        self.state = state
        self.total = total
        self.present = present
        self.problems = problems
        self.exact = exact


def _judge(directory: Path, file: RecordedFile) -> FileProblem | None:
    try:
        stat = (directory / file.path).stat()
    except OSError:
        return FileProblem(file.path, file.component, _MISSING, file.size)
    if file.bad:
        reason = "verify found other bytes"
    elif stat.st_size != file.size:
        reason = f"has {stat.st_size} bytes instead of {file.size}"
    elif stat.st_mtime_ns != file.mtime_ns:
        reason = "was changed after it was verified"
    else:
        return None
    return FileProblem(file.path, file.component, reason, file.size)


def _outdated(resolved: Resolved, record: Record) -> Sequence[FileProblem]:
    """Files whose hash in the manifest is another one than was recorded: the manifest was corrected since."""
    recorded = {file.path: file.sha256 for file in record.origins}
    for file in record.files:
        recorded[file.path.removesuffix(_SEALED)] = file.clear_sha256 or file.sha256
    return [
        FileProblem(spec.path, spec.component, "the manifest wants other bytes now", spec.size or 0)
        for spec in resolved.variant.files
        if spec.sha256 is not None and recorded.get(spec.path, spec.sha256) != spec.sha256
    ]


def _journalled(journal: Path) -> int:
    try:
        lines = journal.read_text().split("\n")[1:-1]
    except OSError:
        return 0
    total = 0
    for line in lines:
        fields = line.split(" ")
        total += int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
    return total
