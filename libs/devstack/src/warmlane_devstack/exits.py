"""How the `warmlane` command ends: its exit codes, and the one exception that carries one."""

from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes people script against; the list is fixed."""

    DONE = 0
    FAILED = 1
    BAD_USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    OVERLOADED = 5
    NO_SPACE = 6
    CORRUPT = 7
    NETWORK = 8


class CommandFailed(Exception):
    """The command cannot go on. The text says what happened and what to do about it; `problem` the same for machines."""

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED, *, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.problem = problem
