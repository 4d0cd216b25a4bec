"""When each model was last asked for, which is what least-recently-used means here.

File times of the models themselves do not say: lanes map files once and read them for weeks, and many volumes are
mounted without access times. So every ensure and every use touches `.state/used/<id>`.
"""

from pathlib import Path

from warmlane_modelstore.manifest.identity import ModelId
from warmlane_modelstore.places import Places, key_of


def _mark(places: Places, model: ModelId) -> Path:
    return places.state("used") / key_of(model)


def touch(places: Places, model: ModelId) -> None:
    mark = _mark(places, model)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def last_used(places: Places, model: ModelId) -> float:
    """Seconds since the epoch; for a model nobody asked for since it was published, when that was; 0 if unknown."""
    for path in (_mark(places, model), places.record(model)):
        try:
            return path.stat().st_mtime
        except OSError:
            continue
    return 0.0


def forget(places: Places, model: ModelId) -> None:
    _mark(places, model).unlink(missing_ok=True)
