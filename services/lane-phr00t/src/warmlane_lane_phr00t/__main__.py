"""`python -m warmlane_lane_phr00t`."""

import sys

from warmlane_lane_phr00t.main import main

sys.exit(main())
