"""`python -m warmlane_bus apply [--update] | check`: make the broker's topology, or compare it with the table.

Reads `WARMLANE_NATS_URL` and `WARMLANE_NATS_REPLICAS`. Exit codes: 0 as declared, 1 differs, 2 bad usage, 8 no broker.
"""

import argparse
import asyncio
import sys

from warmlane_contracts.topology import TOPOLOGY
from warmlane_runtime.logging import configure_logging
from warmlane_runtime.settings import LogSettings, NatsSettings, SettingsError, load

from warmlane_bus.nats_bus import NatsBus
from warmlane_bus.ports import BusMisconfigured, BusUnavailable
from warmlane_bus.topology import apply_topology, check_topology

_DIFFERS, _USAGE, _NO_BROKER = 1, 2, 8


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m warmlane_bus", description=__doc__)
    parser.add_argument("--within", type=float, default=10.0, metavar="S", help="how long to wait for the broker (10)")
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("apply", help="create what is missing; refuse what differs")
    apply.add_argument("--update", action="store_true", help="change what differs instead of refusing it")
    commands.add_parser("check", help="name every difference, change nothing")
    arguments = parser.parse_args()
    try:
        configure_logging(LogSettings(log_level="warning", log_format="console"), service="topology")
        settings = load(NatsSettings)
        return asyncio.run(_run(settings, arguments))
    except SettingsError as error:
        return _say(str(error), _USAGE)
    except BusMisconfigured as error:
        return _say(str(error), _DIFFERS)
    except BusUnavailable as error:
        return _say(str(error), _NO_BROKER)


async def _run(settings: NatsSettings, arguments: argparse.Namespace) -> int:
    bus = await NatsBus.connect(
        settings.nats_url.get_secret_value(), name="topology", on_fatal=sys.exit, within_s=arguments.within
    )
    try:
        if arguments.command == "apply":
            made = await apply_topology(bus, TOPOLOGY, replicas=settings.nats_replicas, update=arguments.update)
            sys.stdout.write(f"made: {', '.join(made) or 'nothing, all is there'}\n")
            return 0
        drifts = await check_topology(bus, TOPOLOGY, replicas=settings.nats_replicas)
        sys.stdout.writelines(f"{drift}\n" for drift in drifts)
        return _DIFFERS if drifts else 0
    finally:
        await bus.close()


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
