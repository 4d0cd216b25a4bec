"""`warmlane down`: stop the stack that runs on a data folder."""

import argparse
from pathlib import Path

from warmlane_devstack.exits import Exit
from warmlane_devstack.stack.detached import stop_running
from warmlane_devstack.stack.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    here = Workspace.of_this_environment()
    parser.add_argument("--data", type=Path, default=here.data, help="its folder (.warmlane in the checkout)")


def run(options: argparse.Namespace) -> Exit:
    print("stopped" if stop_running(options.data) else f"no stack runs on {options.data}")
    return Exit.DONE
