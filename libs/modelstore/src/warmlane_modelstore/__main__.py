"""`python -m warmlane_modelstore models …` is `wan models …`, for places without scripts on the PATH."""

import sys

from warmlane_modelstore.cli.main import main

sys.exit(main())
