"""`python -m warmlane_models`."""

import sys

from warmlane_models.main import main

sys.exit(main())
