"""`warmlane`: make clips, watch tasks and lanes, run the stack.

Each command is a module with `add(parser)` and `run(options)`; it is imported only when it is the one asked for, so that
`warmlane tasks` starts as fast as Python does.

Exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 refused, 5 overloaded, 6 no space, 7 corrupt, 8 network.
"""

import argparse
import errno
import importlib
import json
import sys
from typing import Protocol

from warmlane_devstack.exits import CommandFailed, Exit

COMMANDS = {
    "generate": "make a clip: submit, follow, download",
    "tasks": "list, show, watch and cancel tasks",
    "lanes": "how the lanes are, and where their requests go",
    "calibrate": "measure what a model's clips take on this machine",
    "sign-in": "print a link that signs its visitor in to the web console",
    "up": "run the whole stack on this machine",
    "down": "stop the stack that runs",
}
INTERRUPTED = 130


class Command(Protocol):
    """What each command's module offers."""

    def add(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, options: argparse.Namespace) -> Exit: ...


def main() -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:]
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="warmlane", description=__doc__.split("\n", 1)[0].partition(": ")[2])
    parser.epilog = __doc__.rstrip().splitlines()[-1]
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command: Command | None = None
    for known, help_text in COMMANDS.items():
        sub = commands.add_parser(known, help=help_text, description=help_text)
        if known == name:
            command = importlib.import_module(f"warmlane_devstack.cli.{known.replace('-', '_')}")
            command.add(sub)
    options = parser.parse_args(arguments)
    if command is None:
        parser.error("no command given")
    return run(command, options)


def run(command: Command, options: argparse.Namespace) -> int:
    try:
        return command.run(options)
    except CommandFailed as error:
        return failed(error, as_json=getattr(options, "json", False))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return Exit.DONE
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return failed(CommandFailed(str(error), Exit.NO_SPACE if full else Exit.FAILED), as_json=False)


def failed(error: CommandFailed, *, as_json: bool) -> int:
    """Say it once: to people on standard error, to machines as the one document they expect."""
    if as_json:
        print(json.dumps({"error": error.problem or {"detail": str(error)}, "exit_code": error.exit_code}))
    else:
        print(f"warmlane: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
