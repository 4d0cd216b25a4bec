"""`wan models …`: from words to one command and one exit code.

    arguments ─► command (its module is imported now, and nothing else's) ─► Answer ─► text or JSON ─► exit code

`status --json` has 150 ms as a process, interpreter included. So a command's module is imported only when it is
chosen, and neither click nor rich nor anything with a network in it is imported for those that do without.
"""

import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from warmlane_modelstore.cli.answer import Answer, failure, print_answer
from warmlane_modelstore.cli.arguments import build_parser
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.masking import Masker
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore

if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED = 1


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Runs one command; returns its exit code. Usage errors exit with 2, as argparse does."""
    chosen = build_parser().parse_args(arguments)
    where = os.environ if environ is None else environ
    masker = Masker()
    # Whatever looks like a secret in the environment is masked even if no source ever reads it.
    masker.learn(*(value for key, value in where.items() if _secret_name(key)))
    answer = _run(chosen.command, chosen, where, masker)
    print_answer(answer, command=chosen.command, as_json=chosen.json, masker=masker)
    return answer.exit_code


def _run(command: str, chosen: object, environ: Mapping[str, str], masker: Masker) -> Answer:
    try:
        module = importlib.import_module(f"warmlane_modelstore.cli.{command}")
        if command == "validate":
            return _typed(module.run(chosen, StoreSettings.from_environ(environ)))
        store = ModelStore.open(StoreSettings.from_environ(environ), masker=masker)
        signal.signal(signal.SIGTERM, lambda _signal, _frame: _stop(store, _frame))
        return _typed(module.run(chosen, store))
    except StoreError as error:
        return failure(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return failure(
            StoreError(
                Code.IO_FAIL, f"{where}{error.strerror or error}", "Check MODELS_ROOT: its disk and permissions."
            )
        )
    except KeyboardInterrupt:
        return Answer({}, "Stopped. What was fetched is kept; the same command goes on from there.", _INTERRUPTED)


def _stop(store: ModelStore, _frame: "FrameType | None") -> None:
    store.cancel()
    raise KeyboardInterrupt


def _typed(answer: object) -> Answer:
    if not isinstance(answer, Answer):
        raise TypeError(f"a command answered {type(answer).__name__}")
    return answer


def _secret_name(key: str) -> bool:
    return any(word in key.upper() for word in ("SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY", "API_KEY"))


if __name__ == "__main__":
    sys.exit(main())
