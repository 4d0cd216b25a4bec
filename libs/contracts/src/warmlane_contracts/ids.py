"""Identifiers: how they are made and what may stand in a subject or an object key.

A task id is a ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32, so ids sort by the time they
were made and can be made anywhere. A job id is its task's id and a number: `-1` for the first lane that is offered the
task, `-2` for the fallback. Both are safe as subject tokens and as path segments of object keys.
"""

import os
import re
import time

from warmlane_contracts.errors import ErrorCode, WarmlaneError

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_ulid(now_ms: int | None = None, randomness: int | None = None) -> str:
    """Return a new ULID (26 characters). Both parts can be given, so that tests decide them."""
    milliseconds = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random_bits = int.from_bytes(os.urandom(10), "big") if randomness is None else randomness
    value = (milliseconds << 80) | (random_bits & ((1 << 80) - 1))
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -5, -5))


def new_task_id() -> str:
    """Return the id of a new task."""
    return new_ulid()


def is_task_id(text: str) -> bool:
    """Say whether `text` has the form of a task id. Says nothing of whether such a task exists."""
    return _ULID.fullmatch(text) is not None


def job_id_for(task_id: str, number: int) -> str:
    """Return the id of a task's n-th job, n counted from 1."""
    return f"{task_id}-{number}"


def task_id_of(job_id: str) -> str:
    """Return the id of the task a job belongs to."""
    return job_id.rsplit("-", 1)[0]


def check_token(text: str) -> str:
    """Return `text` when it may stand in a subject or an object key; raise otherwise.

    The NATS client accepts `lane.*` as a literal subject, so a wildcard in an id would reach every job of a lane.
    """
    if _TOKEN.fullmatch(text) is None:
        raise WarmlaneError(
            ErrorCode.INVALID_TOKEN,
            f"{text[:80]!r} cannot stand in a subject or an object key.",
            "Use 1 to 64 letters, digits, '_' or '-'.",
        )
    return text
