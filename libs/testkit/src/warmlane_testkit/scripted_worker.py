"""`python -m warmlane_testkit.scripted_worker LANE|shared`: a real worker whose engine follows the prompt.

Everything but the engine is what runs in production: process, claims, heartbeats, uploads. Suites that need hundreds of
tasks, and stages that fail on command, run it in place of a lane or of the shared worker.
"""

import sys

from warmlane_contracts.catalogue import Model, load_catalogue
from warmlane_contracts.topology import SHARED
from warmlane_lanekit.worker import run_models

ENTRY = "warmlane_testkit.scripted_engine:ScriptedEngine"


def scripted(model: Model) -> Model:
    """Return the model with the scripted engine in place of its own."""
    return model.model_copy(update={"runtime": model.runtime.model_copy(update={"engine": ENTRY})})


def main(lane: str) -> int:
    """Run until told to stop; return the exit code."""
    models = tuple(scripted(model) for model in load_catalogue().models if lane in {SHARED, model.lane})
    return run_models(f"scripted-{lane}", models, shared=lane == SHARED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
