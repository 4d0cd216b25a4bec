"""What is in the engine's memory, as states, and the one function that moves between them.

absent ──load──► loading ──loaded──► resident ──evict──► evicting ──evicted──► absent
                    └──────────────────┴───────────────────┴──died, failed──► lost(reason) ──load──► loading

A warm lane stays resident between jobs; only recycling or eviction unloads it.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The states. `LOST` means that we know nothing of the memory but that it cannot be used."""

    ABSENT = "absent"
    LOADING = "loading"
    RESIDENT = "resident"
    EVICTING = "evicting"
    LOST = "lost"


class Step(StrEnum):
    """What can happen to a residency."""

    LOAD = "load"
    LOADED = "loaded"
    EVICT = "evict"
    EVICTED = "evicted"
    LOSE = "lose"


_STEPS: dict[tuple[State, Step], State] = {
    (State.ABSENT, Step.LOAD): State.LOADING,
    (State.LOST, Step.LOAD): State.LOADING,
    (State.LOADING, Step.LOADED): State.RESIDENT,
    (State.RESIDENT, Step.EVICT): State.EVICTING,
    (State.EVICTING, Step.EVICTED): State.ABSENT,
    (State.LOADING, Step.LOSE): State.LOST,
    (State.RESIDENT, Step.LOSE): State.LOST,
    (State.EVICTING, Step.LOSE): State.LOST,
}


@dataclass(frozen=True, slots=True)
class Residency:
    """A state, and why it was lost when it was."""

    state: State = State.ABSENT
    reason: str = ""

    @property
    def warm(self) -> bool:
        """True when a generation can start at once."""
        return self.state is State.RESIDENT


def move(residency: Residency, step: Step, reason: str = "") -> Residency:
    """Return the residency after a step. Raise `ValueError` for one that this state does not have."""
    following = _STEPS.get((residency.state, step))
    if following is None:
        raise ValueError(f"{residency.state} has no step {step}")
    return Residency(following, reason if following is State.LOST else "")
