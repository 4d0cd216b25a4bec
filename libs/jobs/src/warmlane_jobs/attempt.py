"""What a worker does with a job it was handed, decided from the job's last record alone."""

from dataclasses import dataclass

from warmlane_contracts.messages import Claimed, Released, StateRecord


@dataclass(frozen=True, slots=True)
class TakeAttempt:
    """Claim the job as attempt `number`, on the condition that record `after` is still the last one (0: none yet)."""

    number: int
    after: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """All attempts are used: write `Failed` after record `after`."""

    attempts: int
    after: int


@dataclass(frozen=True, slots=True)
class AlreadyEnded:
    """The job has its outcome: acknowledge the message and do nothing."""


Decision = TakeAttempt | GiveUp | AlreadyEnded


def decide_attempt(last: StateRecord | None, seq: int, max_attempts: int) -> Decision:
    """Decide from the job's last record (None and 0 when it has none) what its next holder does."""
    match last:
        case None:
            return TakeAttempt(1, 0)
        case Claimed() | Released():
            if last.attempt >= max_attempts:
                return GiveUp(last.attempt, seq)
            return TakeAttempt(last.attempt + 1, seq)
        case _:
            return AlreadyEnded()
