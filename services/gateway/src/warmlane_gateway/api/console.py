"""The web console: its files under `/app/`, and its stream of events.

The files are what `services/gateway/web` builds. Every path under `/app/` that is no file is a page of the console, which
its script tells apart; so a page can be reloaded and linked to.
"""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from warmlane_contracts.errors import ErrorCode, WarmlaneError

from warmlane_gateway.api.console_events import ConsoleEvents, ConsoleFeed, Position
from warmlane_gateway.api.events import HEADERS
from warmlane_gateway.api.wired import Asker, Parts, who_asks

router = APIRouter(tags=["console"])

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_SAFE = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"}
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_BUILT = """<!doctype html><html lang="en"><title>Warmlane</title>
<h1>The console has not been built</h1>
<p>Run <code>make console</code>, then reload. The API works without it: see <a href="/docs">/docs</a>.</p></html>"""

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events `snapshot`, `task`, `task_deleted`, `lanes`, `diagnostic`, `bye`; the schema "
        "names the data of each.",
        "model": ConsoleEvents,
        "x-stream": True,
    }
}


@router.get("/events", response_class=StreamingResponse, responses=_STREAM, summary="Follow everything")
async def console_events(
    request: Request,
    parts: Parts,
    asker: Asker,
    last_event_id: Annotated[str | None, Header(description="The id of the last event seen.")] = None,
) -> StreamingResponse:
    """Stream all that changes for the caller: tasks, lanes, and for operators diagnostics. A snapshot comes first; events
    hold whole states.
    """
    resumed = Position.parse(last_event_id) if last_event_id else None

    async def allowed() -> bool:
        try:
            await who_asks(request)
        except WarmlaneError:
            return False
        return True

    feed = ConsoleFeed(parts, asker, resumed=resumed, gone=request.is_disconnected, allowed=allowed)
    return StreamingResponse(feed.run(), media_type="text/event-stream", headers=HEADERS)


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Lead people to the console."""
    return RedirectResponse("/app/", 307)


@router.get("/app", include_in_schema=False)
async def bare() -> Response:
    """Lead people to the console."""
    return RedirectResponse("/app/", 307)


@router.head("/app/{path:path}", include_in_schema=False)
@router.get("/app/{path:path}", include_in_schema=False)
async def page(path: str, parts: Parts) -> Response:
    """Return a file of the console, or its page for every path that is none."""
    folder = parts.console
    if folder is None or not (folder / "index.html").is_file():
        return HTMLResponse(_NOT_BUILT, 503, _SAFE)
    found = _file(folder, path)
    if found is not None:
        hashed = path.startswith("assets/")
        return FileResponse(found, headers=_SAFE | {"Cache-Control": _FOR_EVER if hashed else "no-cache"})
    if path.startswith("assets/"):
        raise WarmlaneError(ErrorCode.NOT_FOUND, "There is no such file.", "Reload the page: the console was updated.")
    return FileResponse(folder / "index.html", headers=_SAFE | {"Cache-Control": "no-cache"})


def _file(folder: Path, path: str) -> Path | None:
    """Return the file a path names, None when it names none or leaves the folder."""
    if not path or "\0" in path:
        return None
    found = (folder / path).resolve()
    return found if found.is_relative_to(folder.resolve()) and found.is_file() else None
