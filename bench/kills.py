"""Kill something every few seconds under load, and prove that nothing was lost or done twice.

python bench/kills.py --minutes 10 --every 5 --seed 7        the same seed kills the same things in the same order
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path

import report
from warmlane_testkit.chaos import Chaos, Report
from warmlane_testkit.fleet import Fleet


async def run(options: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory(prefix="warmlane-kills-") as folder:
        async with Fleet(Path(folder), gateways=3, admissions=3, shared=2) as fleet:
            chaos = Chaos(fleet, seed=options.seed)
            return await chaos.run(seconds=options.minutes * 60, clients=options.clients, kill_every_s=options.every)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between kills")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    seen = asyncio.run(run(parser.parse_args()))
    print("\n".join(seen.lines()))
    counts = {name: dict(getattr(seen, name)) for name in ("answers", "ends", "kills")}
    plain = {field.name: getattr(seen, field.name) for field in fields(seen)} | counts
    kept = plain | {
        "violations": [asdict(one) for one in seen.violations],
        "machine": report.machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    report.RESULTS.mkdir(exist_ok=True)
    (report.RESULTS / "kills.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    return 1 if seen.violations else 0


if __name__ == "__main__":
    sys.exit(main())
