"""Run the benchmarks: all of them, or the one that `ONLY` names."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("submit", "dispatch")


def main() -> int:
    """Run them one after the other; return 1 when one failed."""
    wanted = os.environ.get("ONLY", "").split() or BENCHMARKS
    here = Path(__file__).parent
    return max(subprocess.run([sys.executable, here / f"{name}.py"], check=False).returncode for name in wanted)


if __name__ == "__main__":
    sys.exit(main())
