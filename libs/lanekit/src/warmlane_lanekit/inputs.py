"""An attempt's pictures: from object storage into its scratch folder, checked against their digests."""

import asyncio
from pathlib import Path

from warmlane_contracts.errors import ErrorCode
from warmlane_contracts.messages import InputRef
from warmlane_storage.objects import DigestMismatch, ObjectMissing, ObjectStore

from warmlane_lanekit.engine import EngineFault, ImageInput


async def fetch_inputs(objects: ObjectStore, inputs: tuple[InputRef, ...], scratch: Path) -> tuple[ImageInput, ...]:
    """Download all pictures at once; raise `EngineFault` (`input_unavailable`) when one is missing or not the same."""
    return tuple(await asyncio.gather(*(_fetch(objects, ref, n, scratch) for n, ref in enumerate(inputs))))


async def _fetch(objects: ObjectStore, ref: InputRef, number: int, scratch: Path) -> ImageInput:
    path = scratch / f"input-{number}{Path(ref.key).suffix}"
    try:
        await objects.download(ref.key, path, sha256=ref.sha256)
    except (ObjectMissing, DigestMismatch) as bad:
        raise EngineFault(
            ErrorCode.INPUT_UNAVAILABLE, f"The {ref.role} image cannot be used: {bad}. Submit the task again with it."
        ) from bad
    return ImageInput(role=ref.role, path=path, position=ref.position)
