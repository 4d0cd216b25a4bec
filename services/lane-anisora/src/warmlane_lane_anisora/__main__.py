"""`python -m warmlane_lane_anisora`."""

import sys

from warmlane_lane_anisora.main import main

sys.exit(main())
