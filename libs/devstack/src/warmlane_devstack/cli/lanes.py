"""`warmlane lanes`: how the lanes are, and where their requests go."""

import argparse
from typing import Any

from warmlane_devstack.cli.connection import add_connection, connect
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.cli.table import print_fields, print_table
from warmlane_devstack.exits import Exit

COLUMNS = ("lane", "availability", "mode", "routing", "fallback_reason", "waiting", "service_s")
CHOICES = ("dedicated", "degraded", "auto")
REASONS = ("manual", "quota", "capacity")


def add(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACTION")
    add_connection(acts.add_parser("status", help="every lane (what `lanes` alone does)"), nested=True)
    decide = acts.add_parser("set", help="decide where a lane's requests go")
    decide.add_argument("lane", metavar="LANE")
    decide.add_argument(
        "mode",
        choices=CHOICES,
        help="dedicated: to the lane, whatever its state; degraded: to the shared workers; auto: its state decides",
    )
    decide.add_argument("--reason", choices=REASONS, default="manual", help="why (default: manual)")
    add_connection(decide, nested=True)
    add_connection(parser)


def run(options: argparse.Namespace) -> Exit:
    with connect(options) as gateway:
        if options.act == "set":
            decide(gateway, options)
        else:
            status(gateway, options)
    return Exit.DONE


def status(gateway: Gateway, options: argparse.Namespace) -> None:
    answer: dict[str, Any] = gateway.get("/lanes")
    print_table(answer, answer["lanes"], COLUMNS, as_json=options.json)
    if not options.json and "degraded" in answer:
        print(shared_workers(answer["degraded"]))


def shared_workers(degraded: dict[str, Any]) -> str:
    """What takes the work of a lane that cannot, in one line."""
    ready = sum(worker["availability"] == "ready" for worker in degraded["workers"])
    held = ", ".join(worker["model"] or "no model" for worker in degraded["workers"])
    oldest = f", the first for {degraded['oldest_s']:.0f} s" if degraded.get("oldest_s") else ""
    return (
        f"\nshared workers: {ready} ready{f' (holding {held})' if held else ''}; "
        f"{degraded['waiting']} of {degraded['depth']} waiting{oldest}"
    )


def decide(gateway: Gateway, options: argparse.Namespace) -> None:
    body = {"mode": options.mode, "reason": options.reason}
    answer = gateway.post(f"/lanes/{options.lane}/mode", body).json()
    print_fields({name: answer[name] for name in COLUMNS}, as_json=options.json)
