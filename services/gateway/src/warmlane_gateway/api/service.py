"""What the service says of itself: models, health, metrics."""

from typing import Any, cast

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from warmlane_contracts.catalogue import Model
from warmlane_contracts.topology import SHARED

from warmlane_gateway.api.views import ModelMemory, ModelsView, lane_view
from warmlane_gateway.api.wired import Asker, Parts
from warmlane_gateway.domain.budget import budgets

router = APIRouter(tags=["service"])


@router.get("/models", summary="The catalogue")
async def models(parts: Parts, _asker: Asker) -> ModelsView:
    """Return all models: modes, parameters with bounds, defaults and locks, presets. Forms are made from this. `memory`
    tells for each model what was measured: device memory in bytes, and how a clip's peak follows from its size.
    """
    return ModelsView(
        profile=parts.profile,
        schema_version=parts.catalogue.schema_version,
        models=list(parts.catalogue.models),
        memory={model.id: _memory(parts, model) for model in parts.catalogue.models},
    )


def _memory(parts: Parts, model: Model) -> list[ModelMemory]:
    known = budgets([*parts.lanes.workers(model.lane), *parts.lanes.workers(SHARED)], model.id)
    default = {one.name: one.default for one in model.parameters}
    size = {"width": default["width"], "height": default["height"], "frames": default["num_frames"]}
    return [
        ModelMemory(
            budget_bytes=one.bytes,
            default_peak_bytes=one.calibration.peak_bytes(**cast("dict[str, int]", size)),
            calibration=one.calibration,
        )
        for one in known
    ]


@router.get("/health", summary="Is the service well?")
async def health(parts: Parts) -> dict[str, Any]:
    """Return in a few words what works; public, so it names no host and no version."""
    report = await parts.checks.report()
    lanes = {lane: lane_view(parts.lanes, lane).availability for lane in parts.lanes.names}
    return {"status": "ok" if report.ready else "degraded", "lanes": lanes}


@router.get("/livez", include_in_schema=False)
async def livez() -> Response:
    """Say that the event loop turns."""
    return JSONResponse({"live": True})


@router.get("/readyz", include_in_schema=False)
async def readyz(parts: Parts) -> Response:
    """Say whether the gateway can do its work, and if not, why."""
    report = await parts.checks.report()
    return JSONResponse(report.as_json(), 200 if report.ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics(parts: Parts) -> Response:
    """Return the metrics as Prometheus scrapes them."""
    return Response(generate_latest(parts.registry), media_type=CONTENT_TYPE_LATEST)
