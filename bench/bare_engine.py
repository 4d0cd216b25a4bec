"""The peer of `dispatch.py`: the same engine and the same clip, called directly in one process. Prints seconds as JSON."""

import json
import sys
import tempfile
import time
from pathlib import Path

from warmlane_contracts.catalogue import load_catalogue, resolve
from warmlane_lanekit.engine import GenerateSpec
from warmlane_lanekit.engine_host import load_engine


def main(models_root: Path, body: dict[str, object], clips: int) -> list[float]:
    """Make `clips` clips and return the seconds each took."""
    request = resolve(load_catalogue("tiny"), body)
    model = load_catalogue("tiny").model_of(request.model)
    engine = load_engine(model.runtime.engine)
    engine.load(models_root / model.id, model.runtime)
    seconds = []
    for _ in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            spec = GenerateSpec(model=model.id, mode=request.mode, params=request.params, scratch=Path(folder))
            began = time.perf_counter()
            engine.generate(spec, progress=lambda _: None, cancelled=lambda: False)
            seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]))))
