"""A claim: one worker's exclusive right to one attempt of a job, and what every write under it needs."""

from dataclasses import dataclass
from datetime import UTC, datetime

from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import JobRequested


@dataclass(frozen=True, slots=True)
class Claim:
    """`seq` is the sequence of our `Claimed` record: the term that all our outcomes are conditioned on."""

    job: JobRequested
    seq: int
    attempt: int
    worker: str
    claimed_at: datetime
    traceparent: str
    correlation_id: str
    causation_id: str

    @property
    def folder(self) -> str:
        """The prefix of everything this claim stores, ending with a slash."""
        return f"results/{self.job.task_id}/{self.seq}/"

    def record(self) -> dict[str, str]:
        """Return the fields every record of this job has, with a new record id."""
        job = self.job
        return {"task_id": job.task_id, "job_id": job.job_id, "lane": job.lane, "record_id": new_ulid()}


def now() -> datetime:
    """Return the present, UTC. What it stamps is for people; the broker's stamps decide."""
    return datetime.now(UTC)
