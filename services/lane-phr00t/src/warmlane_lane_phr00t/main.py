"""The lane's wiring: which service this is, and which model it keeps."""

from warmlane_lanekit.worker import run_worker


def main() -> int:
    """Run until told to stop; return the exit code."""
    return run_worker("lane-phr00t", model="phr00t")
