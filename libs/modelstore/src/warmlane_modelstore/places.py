"""Where everything of the store lies under MODELS_ROOT. Deterministic: an id is a directory, nothing is looked up.

    MODELS_ROOT/
      t2v-A14B/2.2.0/bf16/…          the model, in the layout lanes load; .verified.json beside the files
      .blobs/sha256/ab/abcd…         one copy of each large file, linked into every model that has it
      .tmp/                          downloads and trees that are not finished; never looks like a model
      .locks/                        who is working on a model or a blob right now
      .state/                        pins, uses, negative cache, listings

All on one volume, because publishing is a rename.
"""

from dataclasses import dataclass
from pathlib import Path

from warmlane_modelstore.manifest.identity import ModelId

RECORD_NAME = ".verified.json"
OWN_DIRECTORIES = (".tmp", ".locks", ".state", ".blobs")


@dataclass(frozen=True, slots=True)
class Places:
    """Path arithmetic for one MODELS_ROOT; creates nothing."""

    root: Path

    def model(self, model: ModelId) -> Path:
        return self.root / model.name / model.version / model.variant

    def record(self, model: ModelId) -> Path:
        return self.model(model) / RECORD_NAME

    def blob(self, sha256: str) -> Path:
        return self.root / ".blobs" / "sha256" / sha256[:2] / sha256

    def tree(self, model: ModelId) -> Path:
        """The model's directory while it is being put together."""
        return self.root / ".tmp" / "trees" / key_of(model)

    def ledger(self, model: ModelId) -> Path:
        """What a running or killed ensure of the model has finished."""
        return self.root / ".tmp" / "ledgers" / key_of(model)

    def parts(self) -> Path:
        return self.root / ".tmp" / "parts"

    def trash(self) -> Path:
        return self.root / ".tmp" / "trash"

    def lease(self, key: str) -> Path:
        return self.root / ".locks" / f"{key}.lease"

    def uses(self, model: ModelId) -> Path:
        """Leases of those who have the model's directory mapped."""
        return self.root / ".locks" / "uses" / key_of(model)

    def state(self, name: str) -> Path:
        return self.root / ".state" / name

    def listing(self, model: ModelId) -> Path:
        return self.root / ".state" / "listings" / f"{key_of(model)}.json"


def key_of(model: ModelId) -> str:
    """A file name for the model: `@` and `#` are legal everywhere, so the id itself."""
    return str(model)
