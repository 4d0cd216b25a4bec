"""Run the tests in the environment each belongs to, and say one total.

    .venv-lane   what needs torch: engines, lanes, and each test module that asks for it with importorskip
    .venv        everything else
    --fault      the suites that kill, cut and fill instead of the ordinary ones
    --gpu        the suites that need CUDA, in $GPU_PYTHON, .venv-lane or this Python; skipped where there is no CUDA

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
LANE_PYTHON = ROOT / ".venv-lane" / "bin" / "python"
LANE_PARTS = ("libs/engines", "services/lane-anisora", "services/lane-phr00t")
NEEDS_TORCH = 'importorskip("torch")'
KINDS = {"--fault": "fault", "--gpu": "gpu"}
ORDINARY = "not fault and not gpu"
NOTHING_COLLECTED = 5


def main() -> int:
    arguments = sys.argv[1:]
    kinds = [KINDS[argument] for argument in arguments if argument in KINDS]
    rest = [argument for argument in arguments if argument not in KINDS]
    marks = " or ".join(kinds) or ORDINARY
    missing = missing_for_gpu() if "gpu" in kinds else None
    if missing:
        print(f"gpu-check skipped: {missing}")
        return 0
    if "gpu" in kinds:
        # A GPU machine's own Python knows the workspace by its sources alone.
        os.environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in sorted(ROOT.glob("*/*/src")))
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
    lane = str(LANE_PYTHON)
    chosen = [argument for argument in arguments if is_test_path(argument)]
    every = [str(path.parent.relative_to(ROOT)) for path in sorted(ROOT.glob("*/*/tests"))]
    paths = chosen or [*every, *(["tests"] if (ROOT / "tests").exists() else [])]
    lane_paths = [path for path in paths if path.startswith(LANE_PARTS)]
    main_paths = [path for path in paths if path not in lane_paths]
    elsewhere = torch_modules(main_paths)
    lane_paths += elsewhere
    main_paths = [path for path in main_paths if path not in elsewhere]
    if main_paths:
        main_paths += [f"--ignore={path}" for path in elsewhere]
    if gpu:
        return [(gpu_python(), lane_paths)]
    return [(python, chosen) for python, chosen in ((sys.executable, main_paths), (lane, lane_paths)) if chosen]


def torch_modules(paths: list[str]) -> list[str]:
    """Test modules beside others that need no torch, which say by themselves that they do."""
    named = [ROOT / path.partition("::")[0] for path in paths]
    modules = (module for path in named for module in ([path] if path.is_file() else sorted(path.rglob("test_*.py"))))
    return [str(module.relative_to(ROOT)) for module in modules if NEEDS_TORCH in module.read_text()]


def gpu_python() -> str:
    return os.environ.get("GPU_PYTHON") or str(LANE_PYTHON if LANE_PYTHON.exists() else sys.executable)


def missing_for_gpu() -> str | None:
    """What keeps the GPU suites from running here, or None."""
    python = gpu_python()
    ask = "import pytest, torch; print('ok' if torch.cuda.is_available() else 'torch finds no CUDA device')"
    asked = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    answer = (asked.stdout or asked.stderr).strip().splitlines()
    last = answer[-1] if answer else "it said nothing"
    return None if last == "ok" else f"{python}: {last}"


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
