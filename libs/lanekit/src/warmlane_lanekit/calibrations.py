"""The memory models of this node's models: measured here, kept beside the weights.

MODELS_ROOT/calibrations/<model>.json      written by `warmlane calibrate`, read when a worker starts
"""

from pathlib import Path

import structlog
from pydantic import ValidationError
from warmlane_contracts.memory_model import Calibration

log = structlog.get_logger(__name__)


def calibration_path(models_root: Path, model: str) -> Path:
    """Return where a model's calibration lies."""
    return models_root / "calibrations" / f"{model}.json"


def read_calibration(models_root: Path, model: str) -> Calibration | None:
    """Return a model's calibration, None when there is none that can be read."""
    path = calibration_path(models_root, model)
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as bad:
        log.warning("lane.calibration_not_used", model=model, reason=str(bad)[:200])
        return None


def write_calibration(models_root: Path, calibration: Calibration) -> Path:
    """Keep a calibration, whole or not at all; return where."""
    path = calibration_path(models_root, calibration.model)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(calibration.model_dump_json(indent=2) + "\n", "utf-8")
    fresh.replace(path)
    return path
