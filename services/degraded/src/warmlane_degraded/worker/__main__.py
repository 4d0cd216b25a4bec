"""`python -m warmlane_degraded.worker`."""

import sys

from warmlane_lanekit.worker import run_shared_worker

if __name__ == "__main__":
    sys.exit(run_shared_worker("degraded-worker"))
