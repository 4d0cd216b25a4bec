"""Clips and previews, in ranges, so that a browser can play and seek.

Conditions and ranges are read as RFC 9110 says: a range that makes no sense is as good as none, one that lies outside
the file is refused with the file's size, and `If-Range` with another version's tag gets the whole file.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_storage.objects import ObjectInfo, ObjectMissing, ObjectStore

from warmlane_gateway.api.document import sends
from warmlane_gateway.api.problems import problem
from warmlane_gateway.api.wired import OwnTask, Parts
from warmlane_gateway.domain.task import Task

router = APIRouter(tags=["results"])

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")  # no file needs more digits
_CLIP = sends("video/mp4", "video/webm", "image/gif", partly=True)


@router.head("/results/{task_id}", include_in_schema=False)
@router.get("/results/{task_id}", response_class=StreamingResponse, responses=_CLIP, summary="Fetch a clip")
async def result(
    request: Request,
    task: OwnTask,
    parts: Parts,
    range: Annotated[str | None, Header()] = None,  # noqa: A002 - the header's name
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the clip, or the range of it that was asked for. 410 when the file is gone, 409 when it is not made yet."""
    stored = task.state.result
    if stored is None:
        raise _not_ready(task)
    etag = f'"{stored.sha256}"'
    caching = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
    if _names(if_none_match, etag):
        return Response(status_code=304, headers=caching)
    info = await parts.objects.head(stored.key)
    if info is None:
        raise _gone(task)
    bounds = _bounds(range, info.size) if if_range in {None, etag} else None
    if bounds is not None and bounds[0] >= bounds[1]:
        return _outside(info, request)
    suffix = stored.key.rsplit(".", 1)[-1]
    headers = caching | {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{task.model}-{task.task_id}.{suffix}"',
        "Content-Type": stored.content_type,
    }
    return _part(parts.objects, info, bounds, headers, without_body=request.method == "HEAD")


@router.get(
    "/preview/{task_id}", response_class=Response, responses=sends("image/webp"), summary="Fetch a picture of a clip"
)
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


def _names(given: str | None, etag: str) -> bool:
    """Say whether an `If-None-Match` names this version, or any."""
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")} if given else set()
    return bool(tags & {etag, "*"})


def _bounds(wanted: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; None for the whole file, which several ranges get as well.

    The first is not before the last when the file has no such bytes.
    """
    match = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _part(
    objects: ObjectStore,
    info: ObjectInfo,
    bounds: tuple[int, int] | None,
    headers: dict[str, str],
    *,
    without_body: bool,
) -> Response:
    start, end = bounds or (0, info.size)
    headers["Content-Length"] = str(end - start)
    if bounds is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    status = 206 if bounds is not None else 200
    if without_body:
        return Response(None, status, headers)
    body = objects.stream(info.key, start, end) if bounds is not None else objects.stream(info.key)
    return StreamingResponse(_sent(body), status, headers)


async def _sent(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk


def _outside(info: ObjectInfo, request: Request) -> Response:
    return problem(
        ErrorCode.RANGE_NOT_SATISFIABLE,
        f"The file has {info.size} bytes.",
        f"Ask for a range below {info.size}.",
        correlation_id=request.scope["correlation_id"],
        headers={"Content-Range": f"bytes */{info.size}"},
    )


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
