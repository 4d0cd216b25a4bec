"""Where things lie in a set-up checkout: the two environments, and the default data folder."""

import sys
from dataclasses import dataclass
from pathlib import Path

from warmlane_devstack.exits import CommandFailed

DATA = ".warmlane"


@dataclass(frozen=True)
class Workspace:
    """A checkout after `make setup`."""

    root: Path

    @classmethod
    def of_this_environment(cls) -> "Workspace":
        """The workspace whose `.venv` runs this."""
        return cls(Path(sys.prefix).parent)

    @property
    def data(self) -> Path:
        return self.root / DATA

    @property
    def main_python(self) -> str:
        return sys.executable

    @property
    def lane_python(self) -> str:
        path = self.root / ".venv-lane" / "bin" / "python"
        if not path.exists():
            message = f"the lanes' environment {path.parent.parent} is missing; run `make setup`"
            raise CommandFailed(message)
        return str(path)
