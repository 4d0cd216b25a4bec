"""What becomes of a job whose register has not moved for a while, decided from the register and the holder's sign of life.

ended ──────────────────────────────► Settled    forget it
claimed, the holder lives ──────────► KeepWatch  look again
claimed, no sign of life for 15 s ──► Reissue    another token; who claims on top of this record has the job
released, nobody took it for 15 s ──► Reissue    the token was lost with its holder
"""

from dataclasses import dataclass

from warmlane_contracts.messages import TERMINAL, StateRecord

STALE_S = 15.0
"""A holder that gave no sign of life for this long has lost its job."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class KeepWatch:
    """All is well; look again in `after_s` seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Reissue:
    """Hand the job out again."""


Verdict = Settled | KeepWatch | Reissue


def judge_silence(last: StateRecord, *, quiet_s: float) -> Verdict:
    """Judge a job by its last record and how long nothing was heard: neither a record nor the holder's sign of life."""
    if isinstance(last, TERMINAL):
        return Settled()
    if quiet_s < STALE_S:
        return KeepWatch(STALE_S - quiet_s)
    return Reissue()
