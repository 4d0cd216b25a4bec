"""A holder's sign of life on a job, for those who rescue abandoned jobs. Liveness only, never truth.

Who holds a job is decided by its register alone. The lease says that the holder of a term still breathes: it is renewed
every five seconds by compare-and-set, and a rescuer may re-issue the job once the broker's own time stamp on it is
stale. A holder that cannot renew because a later term took over learns here that it has lost; a holder that cannot
reach the broker learns nothing and goes on, because its result is fenced by the register anyway.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError
from warmlane_contracts.topology import HEARTBEAT_S, lease_key

from warmlane_bus.ports import Bucket, BusUnavailable, Entry
from warmlane_bus.register import Undecided

_WITHIN_S = HEARTBEAT_S - 1.0
"""One renewal must be over before the next is due."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The lease is ours as of now."""

    revision: int


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """A later term holds the job. Stop the engine and write nothing more."""

    holder: str
    claim_seq: int


LeaseOutcome = Renewed | LeaseLost | Undecided


class _Holder(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str
    claim_seq: int


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """A lease as a rescuer sees it. `renewed_at` is the broker's time."""

    worker: str
    claim_seq: int
    renewed_at: datetime


class Lease:
    """The lease of one claim of one job. Make one per claim; never reuse it for another."""

    def __init__(self, bucket: Bucket, *, lane: str, job_id: str, claim_seq: int, worker: str) -> None:
        """Hold nothing yet: `acquire` first."""
        self._bucket = bucket
        self._key = lease_key(lane, job_id)
        self._mine = _Holder(worker=worker, claim_seq=claim_seq)
        self._value = self._mine.model_dump_json().encode()
        self._revision: int | None = None
        self._lost: LeaseLost | None = None

    async def acquire(self) -> LeaseOutcome:
        """Take the lease for our term: from nobody, or from an earlier term."""
        if self._lost is not None:
            return self._lost
        try:
            entry = await self._bucket.get(self._key)
            if entry is None:
                revision = await self._bucket.create(self._key, self._value, within_s=_WITHIN_S)
            else:
                holder = _holder(entry)
                if holder.claim_seq > self._mine.claim_seq:
                    return self._lose(holder)
                revision = await self._bucket.update(self._key, self._value, entry.revision, within_s=_WITHIN_S)
        except BusUnavailable as away:
            return Undecided(str(away))
        if revision is None:
            return await self._judge()
        self._revision = revision
        return Renewed(revision)

    async def renew(self) -> LeaseOutcome:
        """Say that we live. Once lost it stays lost, also when the later holder has gone."""
        if self._revision is None or self._lost is not None:
            return await self.acquire()
        try:
            revision = await self._bucket.update(self._key, self._value, self._revision, within_s=_WITHIN_S)
        except BusUnavailable as away:
            return Undecided(str(away))
        if revision is None:
            return await self._judge()
        self._revision = revision
        return Renewed(revision)

    async def release(self) -> None:
        """Remove the lease if it is still ours. Best effort: a lease left behind only ages."""
        try:
            entry = await self._bucket.get(self._key)
            if entry is not None and _holder(entry) == self._mine:
                await self._bucket.delete(self._key, within_s=_WITHIN_S)
        except BusUnavailable:
            return

    async def _judge(self) -> LeaseOutcome:
        """The revision was not the one we knew: lost only if a later term is why."""
        try:
            entry = await self._bucket.get(self._key)
        except BusUnavailable as away:
            return Undecided(str(away))
        if entry is None:
            # Aged out, or removed: nobody else holds it, so the next renewal may take it anew.
            self._revision = None
            return Undecided("the lease was gone")
        holder = _holder(entry)
        if holder == self._mine:
            self._revision = entry.revision
            return Renewed(entry.revision)
        if holder.claim_seq > self._mine.claim_seq:
            return self._lose(holder)
        self._revision = entry.revision
        return Undecided("an earlier term wrote last")

    def _lose(self, holder: _Holder) -> LeaseLost:
        self._lost = LeaseLost(holder.worker, holder.claim_seq)
        return self._lost


async def sign_of_life(bucket: Bucket, lane: str, job_id: str) -> SignOfLife | None:
    """Return the lease of a job as it stands, None when there is none. Raise `BusUnavailable`."""
    entry = await bucket.get(lease_key(lane, job_id))
    if entry is None:
        return None
    holder = _holder(entry)
    return SignOfLife(holder.worker, holder.claim_seq, entry.time)


def _holder(entry: Entry) -> _Holder:
    """Return who wrote a lease; one nobody can read belongs to nobody."""
    try:
        return _Holder.model_validate_json(entry.value)
    except ValidationError:
        return _Holder(worker="", claim_seq=0)
