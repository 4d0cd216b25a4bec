"""What can go wrong with a model, as codes that do not change, and what to do about each.

The store's codes stay apart from the gateway's (`warmlane_contracts.errors`): these are read by operators and scripts
of `wan models`, and must be importable without pydantic, or `status` could not start in time. The service maps them
where it speaks to others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every way a store command can fail. The name is the wire value."""

    # The manifest and what is asked of it.
    INVALID_MANIFEST = "INVALID_MANIFEST"
    UNSUPPORTED_SCHEMA = "UNSUPPORTED_SCHEMA"
    SIGNATURE_FAIL = "SIGNATURE_FAIL"
    UNKNOWN_MODEL = "UNKNOWN_MODEL"
    LICENSE_REFUSED = "LICENSE_REFUSED"

    # Sources.
    AUTH_FAIL = "AUTH_FAIL"
    NOT_FOUND = "NOT_FOUND"
    RATE_LIMIT = "RATE_LIMIT"
    NETWORK = "NETWORK"
    CHECKSUM_FAIL = "CHECKSUM_FAIL"

    # This machine.
    NO_SPACE = "NO_SPACE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    LOCK_TIMEOUT = "LOCK_TIMEOUT"
    LEASE_LOST = "LEASE_LOST"
    IN_USE = "IN_USE"
    CORRUPT = "CORRUPT"
    CONVERT_FAIL = "CONVERT_FAIL"
    SMOKE_FAIL = "SMOKE_FAIL"
    KEY_MISSING = "KEY_MISSING"
    IO_FAIL = "IO_FAIL"


# interfaces.md: 0 done, 1 failed, 2 bad usage, 3 not found, 4 refused, 5 overloaded, 6 no space, 7 corrupt, 8 network.
EXIT_CODES: dict[Code, int] = {
    Code.INVALID_MANIFEST: 2,
    Code.UNSUPPORTED_SCHEMA: 2,
    Code.UNKNOWN_MODEL: 3,
    Code.NOT_FOUND: 3,
    Code.SIGNATURE_FAIL: 4,
    Code.LICENSE_REFUSED: 4,
    Code.AUTH_FAIL: 4,
    Code.KEY_MISSING: 4,
    Code.RATE_LIMIT: 5,
    Code.LOCK_TIMEOUT: 5,
    Code.LEASE_LOST: 5,
    Code.IN_USE: 5,
    Code.NO_SPACE: 6,
    Code.QUOTA_EXCEEDED: 6,
    Code.CHECKSUM_FAIL: 7,
    Code.CORRUPT: 7,
    Code.NETWORK: 8,
}

# A source that failed like this may answer the same request a moment later.
TRANSIENT = frozenset({Code.NETWORK, Code.RATE_LIMIT})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One source that was asked for one file (or a listing) and how it ended. `source` never holds a secret."""

    source: str
    file: str
    code: Code
    detail: str
    tries: int = 1

    def line(self) -> str:
        again = f" after {self.tries} tries" if self.tries > 1 else ""
        return f"{self.source}: {self.file}: {self.code}{again}: {self.detail}"


class StoreError(Exception):
    """A store operation that ended without what was asked.

    `detail` says what happened, `user_action` what to do next, `attempts` every source that was asked, in order.
    `retry_after_s` is set when the other side said when to come back.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        user_action: str,
        *,
        attempts: Sequence[Attempt] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """Keep the parts; the exception's text is `CODE: detail` with one line per attempt."""
        lines = [f"{code}: {detail}", *(f"  {attempt.line()}" for attempt in attempts)]
        super().__init__("\n".join(lines))
        self.code = code
        self.detail = detail
        self.user_action = user_action
        self.attempts = tuple(attempts)
        self.retry_after_s = retry_after_s

    @property
    def exit_code(self) -> int:
        return EXIT_CODES.get(self.code, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest: where in the file, and what would be right."""

    where: str
    message: str

    def line(self) -> str:
        return f"{self.where}: {self.message}"


class InvalidManifest(StoreError):
    """The manifest cannot be used; `problems` lists everything wrong with it, not only the first thing."""

    def __init__(self, origin: str, problems: Sequence[Problem]) -> None:
        """Count the problems in the detail and list them in the text."""
        noun = "problem" if len(problems) == 1 else "problems"
        listed = "; ".join(problem.line() for problem in problems[:20])
        super().__init__(
            Code.INVALID_MANIFEST,
            f"{origin}: {len(problems)} {noun}: {listed}",
            "Correct the manifest and check it with: wan models validate",
        )
        self.problems = tuple(problems)
