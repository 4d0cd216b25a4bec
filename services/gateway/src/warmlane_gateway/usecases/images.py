"""A request's pictures: decoded within limits, proved to be pictures, stored, and referred to by key and digest.

What a client says of its bytes counts for nothing. The format is read from the first bytes; the size in pixels is read
from the header and judged before a pixel is decoded; then the whole picture is decoded once, so that a truncated file
fails here and not on a GPU.
"""

import asyncio
import base64
import binascii
import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Protocol

from PIL import Image
from warmlane_contracts.catalogue import RequestedImage, ResolvedRequest
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import InputRef
from warmlane_storage.objects import ObjectMissing, ObjectStore

from warmlane_gateway.domain.asset import Asset
from warmlane_gateway.domain.task import INPUTS, inputs_folder
from warmlane_gateway.settings import LimitSettings

_FORMATS = {"PNG": ("png", "image/png"), "JPEG": ("jpg", "image/jpeg"), "WEBP": ("webp", "image/webp")}
_ACCEPTED = "png, jpg or webp"


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes that are a picture."""

    data: bytes
    suffix: str
    content_type: str
    width: int
    height: int
    sha256: str


class Assets(Protocol):
    """Knows the uploaded assets."""

    async def add(self, asset: Asset) -> None:
        """Store an asset's record."""
        ...

    async def get(self, asset_id: str, owner: str) -> Asset | None:
        """Return an owner's asset."""
        ...


class ImageStore:
    """Stores the pictures of requests and uploads."""

    def __init__(self, *, objects: ObjectStore, assets: Assets, limits: LimitSettings) -> None:
        self._objects = objects
        self._assets = assets
        self._limits = limits

    async def store(self, request: ResolvedRequest, task_id: str, owner: str) -> tuple[InputRef, ...]:
        """Store what the request brings in data URIs, look up what it names as assets; return references in order.

        All pictures are judged before one is stored, so that a refused request leaves nothing.
        """
        found = await asyncio.gather(*(self._find(image, owner) for image in request.images))
        references = [
            _reference(image, source, task_id, n)
            for n, (image, source) in enumerate(zip(request.images, found, strict=True))
        ]
        await asyncio.gather(
            *(
                self._objects.put(reference.key, source.data, content_type=source.content_type)
                for reference, source in zip(references, found, strict=True)
                if isinstance(source, Picture)
            )
        )
        return tuple(references)

    async def copy(self, inputs: tuple[InputRef, ...], task_id: str) -> tuple[InputRef, ...]:
        """Copy another task's pictures for a new task, so that each may be deleted by itself; assets are shared.

        Raise `WarmlaneError` when one is gone.
        """
        return tuple(await asyncio.gather(*(self._copy(ref, task_id) for ref in inputs)))

    async def _copy(self, ref: InputRef, task_id: str) -> InputRef:
        if not ref.key.startswith(INPUTS):
            return ref
        key = f"{inputs_folder(task_id)}{ref.key.rsplit('/', 1)[-1]}"
        try:
            await self._objects.put(key, await self._objects.get(ref.key), content_type=ref.content_type)
        except ObjectMissing as gone:
            raise WarmlaneError(
                ErrorCode.INPUT_UNAVAILABLE,
                f"The {ref.role} image of the task is gone.",
                "Make a new task with the picture.",
            ) from gone
        return ref.model_copy(update={"key": key})

    async def upload(self, data: bytes, owner: str) -> Asset:
        """Store an uploaded picture as an asset."""
        picture = await self.judge(data, "file")
        asset_id = f"asset_{new_ulid()}"
        key = f"assets/{asset_id}/picture.{picture.suffix}"
        await self._objects.put(key, picture.data, content_type=picture.content_type)
        asset = Asset(
            asset_id, owner, key, picture.sha256, picture.content_type, len(data), picture.width, picture.height
        )
        await self._assets.add(asset)
        return asset

    async def judge(self, data: bytes, field: str) -> Picture:
        """Return the picture in `data`; raise `WarmlaneError` naming `field`. Decodes in a thread."""
        if len(data) > self._limits.max_image_bytes:
            raise WarmlaneError(
                ErrorCode.PAYLOAD_TOO_LARGE,
                f"{field} has {len(data)} bytes.",
                f"Send at most {self._limits.max_image_bytes} bytes a picture.",
                (FieldError(field, "is too large", {"max_bytes": self._limits.max_image_bytes}),),
            )
        return await asyncio.to_thread(self._decode, data, field)

    async def _find(self, image: RequestedImage, owner: str) -> Picture | Asset:
        if image.source.startswith("data:"):
            return await self.judge(_from_data_uri(image.source, image.field), image.field)
        asset = await self._assets.get(image.source, owner)
        if asset is None:
            raise WarmlaneError(
                ErrorCode.VALIDATION_ERROR,
                f"{image.field} is neither a data URI nor an asset of yours.",
                "Upload the picture first (POST /api/v2/upload-asset) or send it as data:image/png;base64,…",
                (FieldError(image.field, "names no asset"),),
            )
        return asset

    def _decode(self, data: bytes, field: str) -> Picture:
        try:
            with warnings.catch_warnings():
                # Our own bound decides, before anything is decoded.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(data), formats=tuple(_FORMATS)) as picture:
                    self._check_pixels(picture, field)
                    picture.load()
                    suffix, content_type = _FORMATS[picture.format or ""]
                    width, height = picture.size
        except Image.DecompressionBombError as bomb:
            raise self._too_many_pixels(field, "far too many") from bomb
        except (OSError, ValueError, SyntaxError) as bad:
            raise WarmlaneError(
                ErrorCode.UNSUPPORTED_MEDIA,
                f"{field} is no whole {_ACCEPTED} picture.",
                f"Send a complete {_ACCEPTED} file.",
                (FieldError(field, "cannot be decoded", _ACCEPTED),),
            ) from bad
        return Picture(data, suffix, content_type, width, height, hashlib.sha256(data).hexdigest())

    def _check_pixels(self, picture: Image.Image, field: str) -> None:
        pixels = picture.width * picture.height
        if pixels > self._limits.max_image_pixels:
            raise self._too_many_pixels(field, pixels)

    def _too_many_pixels(self, field: str, pixels: int | str) -> WarmlaneError:
        most = self._limits.max_image_pixels
        return WarmlaneError(
            ErrorCode.PAYLOAD_TOO_LARGE,
            f"{field} has {pixels} pixels.",
            f"Send a picture of at most {most} pixels; it is scaled to the clip's size anyway.",
            (FieldError(field, "has too many pixels", {"max_pixels": most}),),
        )


def _from_data_uri(uri: str, field: str) -> bytes:
    head, comma, body = uri.partition(",")
    try:
        # A head without ";base64" leaves nothing to decode.
        return base64.b64decode(body if comma and head.endswith(";base64") else "?", validate=True)
    except (ValueError, binascii.Error) as bad:
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            f"{field} is no data URI in base64.",
            "Send data:image/png;base64, followed by the file in base64.",
            (FieldError(field, "is no data URI in base64"),),
        ) from bad


def _reference(image: RequestedImage, source: Picture | Asset, task_id: str, number: int) -> InputRef:
    key = source.key if isinstance(source, Asset) else _own_key(image, source, task_id, number)
    return InputRef(
        role=image.role, key=key, sha256=source.sha256, content_type=source.content_type, position=image.position
    )


def _own_key(image: RequestedImage, picture: Picture, task_id: str, number: int) -> str:
    return f"{inputs_folder(task_id)}{image.role}-{number}.{picture.suffix}"
