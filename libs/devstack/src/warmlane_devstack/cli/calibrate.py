"""`warmlane calibrate MODEL`: measure what clips take on this machine's device, and keep it beside the weights."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from warmlane_devstack.cli.table import print_table
from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.stack.workspace import Workspace

COLUMNS = ("width", "height", "frames", "denoising", "decoding", "predicted", "error")
MIB = 2**20


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--models-root", type=Path, help="(default: $MODELS_ROOT, else the models of the stack here)")
    parser.add_argument(
        "--engine", choices=("real", "tiny"), default="real", help="tiny: small clips, for the untrained models"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document for machines")


def run(options: argparse.Namespace) -> Exit:
    workspace = Workspace.of_this_environment()
    named = options.models_root or os.environ.get("MODELS_ROOT")
    root = Path(named) if named else workspace.data / "models"
    profile = "tiny" if options.engine == "tiny" else "production"
    command = [workspace.lane_python, "-m", "warmlane_lanekit.calibrate", options.model]
    # Minutes on a real model: what it measures shows on standard error as it comes.
    made = subprocess.run(
        [*command, "--models-root", str(root.absolute()), "--profile", profile],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if made.returncode:
        known = made.returncode in set(Exit)
        raise CommandFailed(f"{options.model} was not calibrated", Exit(made.returncode) if known else Exit.FAILED)
    show(json.loads(made.stdout), as_json=options.json)
    return Exit.DONE


def show(document: dict[str, Any], *, as_json: bool) -> None:
    """The measured clips beside what the fit says of them, in MiB."""
    rows = [in_mib(point) for point in document["points"]]
    print_table(document, rows, COLUMNS, as_json=as_json)
    if not as_json:
        residual = document["calibration"]["residual"] / MIB
        print(f"\nlargest error of the fit {residual:.1f} MiB, added to every prediction; kept in {document['path']}")
        sys.stdout.flush()


def in_mib(point: dict[str, Any]) -> dict[str, Any]:
    measured = max(point["denoising"], point["decoding"])
    sizes = {name: point[name] / MIB for name in ("denoising", "decoding", "predicted")}
    return point | sizes | {"error": (point["predicted"] - measured) / MIB}
