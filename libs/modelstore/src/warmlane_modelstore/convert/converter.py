"""Placeholder."""

import threading

from warmlane_modelstore.ledger import Ledger
from warmlane_modelstore.planning import Plan
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.transfer.progress import Progress


class Converter:
    """Turns raw files into published ones."""

    def extra_bytes(self, resolved: Resolved, plan: Plan) -> int:
        return 0

    def convert(self, resolved: Resolved, ledger: Ledger, progress: Progress, stop: threading.Event) -> None:
        raise NotImplementedError
