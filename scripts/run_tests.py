"""Run the tests in the environment each belongs to, and say one total.

    .venv-lane   what a lane is made of: needs torch
    .venv        everything else
    --fault      the suites that kill, cut and fill instead of the ordinary ones
    --gpu        the suites that need CUDA, in $GPU_PYTHON or .venv-lane

Other arguments go to pytest; a path among them runs that path only, in its environment.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LANE_PARTS = ("libs/lanekit", "libs/engines", "services/lane-anisora", "services/lane-phr00t")
KINDS = {"--fault": "fault", "--gpu": "gpu"}
ORDINARY = "not fault and not gpu"
NOTHING_COLLECTED = 5


def main() -> int:
    arguments = sys.argv[1:]
    kinds = [KINDS[argument] for argument in arguments if argument in KINDS]
    rest = [argument for argument in arguments if argument not in KINDS]
    marks = " or ".join(kinds) or ORDINARY
    began, total, failed = time.monotonic(), Counter[str](), False
    for python, paths in environments(rest, gpu="gpu" in kinds):
        options = [argument for argument in rest if not is_test_path(argument)]
        code, counts = pytest(python, paths, ["-m", marks, *options])
        total += counts
        failed = failed or code not in {0, NOTHING_COLLECTED}
    passed = total["tests"] - total["failures"] - total["errors"] - total["skipped"]
    bad = total["failures"] + total["errors"]
    seconds = time.monotonic() - began
    print(f"\nTOTAL: {passed} passed, {bad} failed, {total['skipped']} skipped in {seconds:.0f} s")
    return 1 if failed or bad else 0


def environments(arguments: list[str], *, gpu: bool) -> list[tuple[str, list[str]]]:
    """Which interpreter runs which paths."""
    lane = str(ROOT / ".venv-lane/bin/python")
    chosen = [argument for argument in arguments if is_test_path(argument)]
    every = [str(path.parent.relative_to(ROOT)) for path in sorted(ROOT.glob("*/*/tests"))]
    paths = chosen or [*every, *(["tests"] if (ROOT / "tests").exists() else [])]
    lane_paths = [path for path in paths if path.startswith(LANE_PARTS)]
    if gpu:
        return [(os.environ.get("GPU_PYTHON", lane), lane_paths)]
    main_paths = [path for path in paths if path not in lane_paths]
    return [(python, chosen) for python, chosen in ((sys.executable, main_paths), (lane, lane_paths)) if chosen]


def pytest(python: str, paths: list[str], options: list[str]) -> tuple[int, Counter[str]]:
    """Run pytest and return its exit code and its counts."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = [python, "-m", "pytest", *paths, f"--junitxml={report}", *options]
        print(f"\n== {Path(python).parent.parent.name}: {' '.join(paths)}", flush=True)
        code = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
        return code, counts_of(report)


def counts_of(report: Path) -> Counter[str]:
    if not report.exists():
        return Counter(errors=1)
    suites = ET.parse(report).getroot().iter("testsuite")  # noqa: S314  # pytest wrote it a moment ago
    counts: Counter[str] = Counter()
    for suite in suites:
        counts.update({key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")})
    return counts


def is_test_path(argument: str) -> bool:
    return not argument.startswith("-") and (ROOT / argument.split("::", 1)[0]).exists()


if __name__ == "__main__":
    sys.exit(main())
