"""`warmlane sign-in`: a link to the web console that works once, for whoever has the API key."""

import argparse
import json

from warmlane_devstack.cli.connection import add_connection, connect
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.exits import Exit


def add(parser: argparse.ArgumentParser) -> None:
    add_connection(parser)


def run(options: argparse.Namespace) -> Exit:
    with connect(options) as gateway:
        link = new_link(gateway)
    print(json.dumps({"link": link}) if options.json else link)
    return Exit.DONE


def new_link(gateway: Gateway) -> str:
    path: str = gateway.post("/auth/links").json()["path"]
    return f"{gateway.url}{path}"
