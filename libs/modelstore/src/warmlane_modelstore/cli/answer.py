"""What a command answers: a document for machines, a text for people, an exit code for scripts.

Every JSON answer has the same frame; `schema/wan-models.schema.json` is its published schema, and the tests hold each
command's output against it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from warmlane_modelstore.errors import Attempt, StoreError
from warmlane_modelstore.masking import Masker

SCHEMA = "warmlane.models/1"


@dataclass(frozen=True, slots=True)
class Answer:
    """`result` is the document's content; `error` is set when the command failed as a whole."""

    result: Mapping[str, object]
    text: str
    exit_code: int = 0
    error: Mapping[str, object] | None = None


def failure(error: StoreError) -> Answer:
    """A StoreError as an answer: what happened, every attempt, what to do."""
    lines = [f"{error.code}: {error.detail}", *(f"  {attempt.line()}" for attempt in error.attempts), error.user_action]
    return Answer({}, "\n".join(lines), error.exit_code, error_document(error))


def error_document(error: StoreError) -> dict[str, object]:
    return {
        "code": str(error.code),
        "detail": error.detail,
        "user_action": error.user_action,
        "exit_code": error.exit_code,
        "attempts": [_attempt(attempt) for attempt in error.attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, object]:
    return {
        "source": attempt.source,
        "file": attempt.file,
        "code": str(attempt.code),
        "detail": attempt.detail,
        "tries": attempt.tries,
    }


def print_answer(answer: Answer, *, command: str, as_json: bool, masker: Masker) -> None:
    """JSON to standard output; text to standard output, or to standard error when the command failed."""
    if as_json:
        frame = {
            "schema": SCHEMA,
            "command": command,
            "ok": answer.exit_code == 0,
            "exit_code": answer.exit_code,
            "result": answer.result,
            "error": answer.error,
        }
        sys.stdout.write(masker.mask(json.dumps(frame, indent=1)) + "\n")
        return
    stream = sys.stderr if answer.error is not None else sys.stdout
    stream.write(masker.mask(answer.text) + "\n")
