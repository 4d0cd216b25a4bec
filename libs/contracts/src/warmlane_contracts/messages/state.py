"""The records of the register: who holds a job, and how it ended.

Each record is published on `wl.v1.state.<lane>.<job>` on the condition that the record before it is still the last one,
so the first writer wins and every loser reads who did. The stream sequence of a `Claimed` record is the term (fencing
token) of that attempt; outcomes name it as `claim_seq`.

    (empty)  -> Claimed | Expired | Rejected | Cancelled
    Claimed  -> Done | Failed | Released | Cancelled | Claimed (another worker, next attempt) | Expired (claimed too late)
    Released -> Claimed | Failed | Cancelled
    Done, Failed, Cancelled, Expired, Rejected: nothing follows
"""

from typing import ClassVar

from pydantic import Field

from warmlane_contracts.messages.base import Message, Part
from warmlane_contracts.messages.job import JobRequested
from warmlane_contracts.messages.lane import FallbackReason, LaneMode


class Timings(Part):
    """Where the time of one attempt went, in seconds.

    `queue_s` runs from acceptance to the claim, `input_s` from the claim to the engine's start, `total_s` from the claim
    to the stored result.
    """

    queue_s: float = 0.0
    input_s: float = 0.0
    load_s: float = 0.0
    denoise_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    upload_s: float = 0.0
    total_s: float = 0.0


class ResultRef(Part):
    """The clip and its preview in object storage, and what the clip is."""

    key: str
    content_type: str
    bytes: int
    sha256: str
    preview_key: str
    width: int
    height: int
    frames: int
    fps: int
    duration_s: float
    seed: int


class _Record(Message):
    task_id: str
    job_id: str
    lane: str
    record_id: str
    """Unique per write, so that a writer whose answer was lost can recognise its own record."""


class Claimed(_Record):
    """A worker took this attempt of the job. Attempts count from 1. `lane_mode` says what kind of worker it is, and
    `fallback_reason` why a shared one has it.
    """

    TYPE: ClassVar[str] = "warmlane.v1.state.claimed"

    worker: str
    attempt: int
    lane_mode: LaneMode = "dedicated"
    fallback_reason: FallbackReason | None = None
    job: JobRequested | None = None
    """The job itself, in a shared worker's claim: nothing else of it is left with the broker, should the holder die."""


class Done(_Record):
    """The attempt that held `claim_seq` finished; `result` is the one accepted result."""

    TYPE: ClassVar[str] = "warmlane.v1.state.done"

    claim_seq: int
    worker: str
    attempt: int
    result: ResultRef
    timings: Timings


class Failed(_Record):
    """The job is given up. `code` is an `ErrorCode`, `message` says what happened and what to do."""

    TYPE: ClassVar[str] = "warmlane.v1.state.failed"

    claim_seq: int | None = None
    code: str
    message: str
    attempt: int


class Released(_Record):
    """The holder gives the job back before it ended (soft stop, crashed engine); the next attempt may start at once."""

    TYPE: ClassVar[str] = "warmlane.v1.state.released"

    claim_seq: int
    attempt: int
    reason: str
    job: JobRequested | None = None
    """The job itself, where a shared worker gives it back."""


class Cancelled(_Record):
    """The owner or an operator ended the job."""

    TYPE: ClassVar[str] = "warmlane.v1.state.cancelled"

    by: str
    reason: str = ""


class Expired(_Record):
    """Nobody claimed the job in time; it never runs. `waited_s` is how long it was offered to shared workers."""

    TYPE: ClassVar[str] = "warmlane.v1.state.expired"

    reason: str
    waited_s: float = Field(default=0.0, ge=0)


class Rejected(_Record):
    """The job was refused before anyone claimed it."""

    TYPE: ClassVar[str] = "warmlane.v1.state.rejected"

    code: str
    message: str


StateRecord = Claimed | Done | Failed | Released | Cancelled | Expired | Rejected
TERMINAL = (Done, Failed, Cancelled, Expired, Rejected)
