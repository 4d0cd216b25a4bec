"""`warmlane tasks`: list, show, watch, cancel, make again."""

import argparse
import json
from typing import Any

from warmlane_devstack.cli.connection import add_connection, connect
from warmlane_devstack.cli.follow import check_done, watch
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.cli.table import print_fields, print_table
from warmlane_devstack.exits import Exit

STATUSES = ("pending", "processing", "done", "failed", "cancelled")
COLUMNS = ("task_id", "status", "progress", "model", "mode", "created_at", "error")


def add(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACTION")
    listing = acts.add_parser("list", help="the newest tasks (what `tasks` alone does)")
    for each, default in ((parser, 20), (listing, argparse.SUPPRESS)):
        each.add_argument("--limit", type=int, default=default, help="how many, up to 100")
        each.add_argument("--status", choices=STATUSES, default=None if each is parser else default)
    for name, text in (
        ("show", "all of one task"),
        ("watch", "follow one task"),
        ("cancel", "stop one task"),
        ("rerun", "make a task again, one that was given up for instance"),
    ):
        one = acts.add_parser(name, help=text)
        one.add_argument("id", metavar="ID")
        if name == "rerun":
            one.add_argument("--seed", type=int, help="another seed; -1 draws one (default: the same)")
        add_connection(one, nested=True)
    add_connection(listing, nested=True)
    add_connection(parser)


def run(options: argparse.Namespace) -> Exit:
    acts = {"list": list_tasks, "show": show, "watch": watch_task, "cancel": cancel, "rerun": rerun}
    with connect(options) as gateway:
        acts[options.act or "list"](gateway, options)
    return Exit.DONE


def list_tasks(gateway: Gateway, options: argparse.Namespace) -> None:
    filters = {"status": options.status} if options.status else {}
    page = gateway.get("/tasks", limit=options.limit, **filters)
    print_table(page, page["items"], COLUMNS, as_json=options.json)


def show(gateway: Gateway, options: argparse.Namespace) -> None:
    print_fields(gateway.get(f"/status/{options.id}"), as_json=options.json)


def watch_task(gateway: Gateway, options: argparse.Namespace) -> None:
    status = watch(gateway, gateway.get(f"/status/{options.id}"), title=options.id, quiet=options.json)
    check_done(status)
    print_fields(status, as_json=options.json)


def cancel(gateway: Gateway, options: argparse.Namespace) -> None:
    answer: dict[str, Any] = gateway.post(f"/tasks/{options.id}/cancel").json()
    print(json.dumps(answer) if options.json else f"{options.id}: {answer.get('status', 'cancel asked')}")


def rerun(gateway: Gateway, options: argparse.Namespace) -> None:
    body = {} if options.seed is None else {"seed": options.seed}
    answer: dict[str, Any] = gateway.post(f"/tasks/{options.id}/rerun", body).json()
    print(json.dumps(answer) if options.json else f"{answer['task_id']}: {answer['status']}")
