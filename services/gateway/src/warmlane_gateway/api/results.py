"""Clips and previews, in ranges, so that a browser can play and seek."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_storage.objects import ObjectInfo, ObjectMissing, ObjectStore

from warmlane_gateway.api.wired import OwnTask, Parts
from warmlane_gateway.domain.task import Task

router = APIRouter(tags=["results"])

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")  # no file needs more digits
_CLIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"video/mp4": {}, "video/webm": {}, "image/gif": {}}},
    206: {"description": "A part of it."},
}


@router.get("/results/{task_id}", response_class=StreamingResponse, responses=_CLIP, summary="Fetch a clip")
async def result(
    task: OwnTask,
    parts: Parts,
    range: Annotated[str | None, Header()] = None,  # noqa: A002 - the header's name
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the clip, or the range of it that was asked for. 410 when the file is gone, 409 when it is not made yet."""
    stored = task.state.result
    if stored is None:
        raise _not_ready(task)
    etag = f'"{stored.sha256}"'
    if if_none_match == etag:
        return Response(status_code=304, headers={"ETag": etag})
    info = await parts.objects.head(stored.key)
    if info is None:
        raise _gone(task)
    suffix = stored.key.rsplit(".", 1)[-1]
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'inline; filename="{task.model}-{task.task_id}.{suffix}"',
    }
    return _ranged(parts.objects, info, range, stored.content_type, headers)


@router.get("/preview/{task_id}", response_class=Response, summary="Fetch a picture of a clip")
async def preview(task: OwnTask, parts: Parts) -> Response:
    """Return the poster of a finished clip, or a live picture of one that is being made."""
    stored = task.state.result
    key = stored.preview_key if stored else task.state.live_preview_key
    if key is None:
        raise _not_ready(task)
    try:
        picture = await parts.objects.get(key)
    except ObjectMissing:
        raise _gone(task) from None
    caching = "private, max-age=31536000, immutable" if stored else "no-store"
    return Response(picture, headers={"Cache-Control": caching}, media_type="image/webp")


def _ranged(
    objects: ObjectStore, info: ObjectInfo, wanted: str | None, content_type: str, headers: dict[str, str]
) -> Response:
    start, end, partial = _bounds(wanted, info.size)
    headers["Content-Length"] = str(end - start)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    body = objects.stream(info.key, start, end) if partial else objects.stream(info.key)
    return StreamingResponse(_sent(body), 206 if partial else 200, headers, media_type=content_type)


async def _sent(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk


def _bounds(wanted: str | None, size: int) -> tuple[int, int, bool]:
    """Return the first byte, the one after the last, and whether that is a part. Several ranges are answered whole."""
    match = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if match is None or match.group(0) == "bytes=-":
        return 0, size, False
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise WarmlaneError(
            ErrorCode.RANGE_NOT_SATISFIABLE, f"The file has {size} bytes.", f"Ask for a range below {size}."
        )
    return start, end, True


def _not_ready(task: Task) -> WarmlaneError:
    return WarmlaneError(
        ErrorCode.RESULT_NOT_READY,
        f"Task {task.task_id} is {task.state.status}; there is no file.",
        "Wait for the status done, or see the task's error.",
    )


def _gone(task: Task) -> WarmlaneError:
    return WarmlaneError(
        ErrorCode.RESULT_GONE,
        f"The file of task {task.task_id} is no longer stored.",
        "Make it again with the same seed and parameters (see its status).",
    )
