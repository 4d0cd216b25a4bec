"""An attempt's results: into object storage under the claim's own prefix, and out of it again when nobody may use them."""

import asyncio
import hashlib
from pathlib import Path

import structlog
from warmlane_contracts.messages import ResultRef
from warmlane_storage.objects import ObjectStore

from warmlane_lanekit.claim import Claim
from warmlane_lanekit.engine import GenerateReport

log = structlog.get_logger(__name__)


async def store_results(objects: ObjectStore, claim: Claim, report: GenerateReport) -> ResultRef:
    """Upload clip and preview side by side and return what the outcome will refer to."""
    key, preview_key = claim.folder + report.clip.name, claim.folder + report.preview.name
    digest, size, *_ = await asyncio.gather(
        asyncio.to_thread(_sha256, report.clip),
        asyncio.to_thread(lambda: report.clip.stat().st_size),
        objects.put(key, report.clip, content_type=report.content_type),
        objects.put(preview_key, report.preview, content_type="image/webp"),
    )
    return ResultRef(
        key=key,
        content_type=report.content_type,
        bytes=size,
        sha256=digest,
        preview_key=preview_key,
        width=report.width,
        height=report.height,
        frames=report.frames,
        fps=report.fps,
        duration_s=report.frames / report.fps,
        seed=claim.job.params.seed,
    )


async def sweep(objects: ObjectStore, claim: Claim, keep: ResultRef | None = None) -> None:
    """Delete what this claim stored, but for the accepted result. A sweep that fails costs space, nothing else."""
    kept = {keep.key, keep.preview_key} if keep else set()
    try:
        for info in await objects.list(claim.folder):
            if info.key not in kept:
                await objects.delete(info.key)
    except Exception:
        log.warning("lane.sweep_failed", folder=claim.folder, exc_info=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
