"""`python -m warmlane_gateway [serve | migrate [REVISION] | openapi]`."""

import sys

from warmlane_gateway.main import migrate, print_openapi, serve


def run(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    match arguments:
        case [] | ["serve"]:
            return serve()
        case ["migrate"]:
            return migrate("head")
        case ["migrate", revision]:
            return migrate(revision)
        case ["openapi"]:
            return print_openapi()
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
