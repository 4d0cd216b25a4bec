"""Places in the code where a test may kill the process, to prove that what is durable is enough.

    WARMLANE_FAULT=gateway.committed          dies the first time the place is passed
    WARMLANE_FAULT=lane.stored:3,relay.sent   dies the third time, or at the other place

The death is a SIGKILL: no `finally`, no flush, no goodbye, as when the power goes. With the variable unset, passing a
fault point costs one look into the environment.
"""

import os
import signal
from collections import Counter

VARIABLE = "WARMLANE_FAULT"

_passed: Counter[str] = Counter()  # how often each armed point was passed; a process dies at most once


def fault_point(name: str) -> None:
    """Kill this process with SIGKILL when `WARMLANE_FAULT` names this place (and it was passed often enough)."""
    armed = os.environ.get(VARIABLE)
    if not armed:
        return
    wanted = _parse(armed).get(name)
    if wanted is None:
        return
    _passed[name] += 1
    if _passed[name] >= wanted:
        os.kill(os.getpid(), signal.SIGKILL)


def _parse(armed: str) -> dict[str, int]:
    """Return how often each named point is to be passed before the process dies."""
    points: dict[str, int] = {}
    for entry in armed.split(","):
        name, _, count = entry.strip().partition(":")
        if name:
            points[name] = max(1, int(count)) if count.isdecimal() else 1
    return points
