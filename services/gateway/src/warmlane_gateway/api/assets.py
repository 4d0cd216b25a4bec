"""Uploads: pictures that requests can name instead of carrying them."""

from typing import Annotated

from fastapi import APIRouter, File, UploadFile
from starlette.responses import Response
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_storage.objects import ObjectMissing

from warmlane_gateway.api.document import sends
from warmlane_gateway.api.views import AssetView
from warmlane_gateway.api.wired import Asker, Parts
from warmlane_gateway.domain.asset import Asset

router = APIRouter(prefix="/api/v2", tags=["assets"])


@router.post("/upload-asset", status_code=201, summary="Upload a picture")
async def upload(
    file: Annotated[UploadFile, File(description="png, jpg or webp")], parts: Parts, asker: Asker
) -> AssetView:
    """Store a picture under an id that requests can name. What it is, is read from its bytes, not from its name."""
    return _view(await parts.images.upload(await file.read(), asker.owner))


@router.get(
    "/assets/{asset_id}",
    response_class=Response,
    responses=sends("image/png", "image/jpeg", "image/webp"),
    summary="Fetch an uploaded picture",
)
async def fetch(asset_id: str, parts: Parts, asker: Asker) -> Response:
    """Return an asset's bytes."""
    asset = await parts.assets.get(asset_id, asker.owner)
    try:
        data = await parts.objects.get(asset.key) if asset else None
    except ObjectMissing:
        data = None
    if asset is None or data is None:
        raise WarmlaneError(
            ErrorCode.ASSET_NOT_FOUND, f"There is no asset {asset_id[:64]!r} of yours.", "Upload the picture again."
        )
    return Response(data, headers={"Cache-Control": "private, max-age=3600"}, media_type=asset.content_type)


def _view(asset: Asset) -> AssetView:
    return AssetView(
        asset_id=asset.asset_id,
        content_type=asset.content_type,
        bytes=asset.bytes,
        width=asset.width,
        height=asset.height,
        sha256=asset.sha256,
        url=f"/api/v2/assets/{asset.asset_id}",
    )
