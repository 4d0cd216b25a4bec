"""`warmlane lanes`: which lanes there are and how they are."""

import argparse

from warmlane_devstack.cli.connection import add_connection, connect
from warmlane_devstack.cli.table import print_table
from warmlane_devstack.exits import Exit

COLUMNS = ("lane", "availability", "warm", "waiting", "service_s")


def add(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", metavar="ACTION")
    add_connection(acts.add_parser("status", help="every lane (what `lanes` alone does)"), nested=True)
    add_connection(parser)


def run(options: argparse.Namespace) -> Exit:
    with connect(options) as gateway:
        answer = gateway.get("/lanes")
    print_table(answer, answer["lanes"], COLUMNS, as_json=options.json)
    return Exit.DONE
