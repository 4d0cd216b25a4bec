"""`python -m warmlane_degraded.admission`."""

import sys

from warmlane_degraded.admission.main import main

if __name__ == "__main__":
    sys.exit(main())
