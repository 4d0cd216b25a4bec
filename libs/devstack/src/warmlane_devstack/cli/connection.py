"""Which gateway a command talks to, and as whom.

    --url, --api-key   before   WARMLANE_URL, WARMLANE_API_KEY   before   run.json of the stack on this machine

A URL of one's own never gets the key from run.json: that key belongs to that stack.
"""

import argparse
import os
from pathlib import Path

from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.stack.runfile import Running
from warmlane_devstack.stack.workspace import Workspace


def add_connection(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """Add the options. `nested`: `parser` is a part of one that has them too, whose values must not be overwritten."""
    group = parser.add_argument_group("connection")
    default = argparse.SUPPRESS if nested else None
    where = "the gateway (default: $WARMLANE_URL, else the stack that `warmlane up` runs)"
    group.add_argument("--url", default=default, help=where)
    group.add_argument("--api-key", default=default, help="(default: $WARMLANE_API_KEY, else the key of that stack)")
    group.add_argument("--data", type=Path, default=default, help="folder of that stack (.warmlane in the checkout)")
    flag = argparse.SUPPRESS if nested else False
    group.add_argument("--json", action="store_true", default=flag, help="print one JSON document for machines")


def connect(options: argparse.Namespace) -> Gateway:
    url = options.url or os.environ.get("WARMLANE_URL")
    key = options.api_key or os.environ.get("WARMLANE_API_KEY")
    if url is None:
        running = Running.read(options.data or Workspace.of_this_environment().data)
        url = running.text("url") if running else None
        key = key or (running.text("api_key") if running else None)
    if url is None:
        message = "no stack runs here; start one with `make up`, or name a gateway with --url or WARMLANE_URL"
        raise CommandFailed(message, Exit.NETWORK)
    if not url.startswith(("http://", "https://")):
        message = f"{url!r} is not an http:// or https:// URL; check --url or WARMLANE_URL"
        raise CommandFailed(message, Exit.BAD_USAGE)
    return Gateway(url, key)
