"""What routes are given: the use cases and stores of this process, and who is asking.

Credentials in the order in which they count: the header `X-API-Key`, the query `api_key`, the cookie `gg_session`. A bad
one is not rescued by a good one that counts less.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
from prometheus_client import CollectorRegistry
from warmlane_contracts.catalogue import Catalogue, Profile
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import is_task_id
from warmlane_runtime.health import Checks
from warmlane_storage.objects import ObjectStore

from warmlane_gateway.adapters.assets import Assets
from warmlane_gateway.adapters.diagnostics import Diagnostics
from warmlane_gateway.adapters.history import History
from warmlane_gateway.adapters.keys import ApiKeys
from warmlane_gateway.adapters.sessions import Sessions
from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.domain.apikey import Caller
from warmlane_gateway.domain.session import COOKIE, Session
from warmlane_gateway.domain.task import Task
from warmlane_gateway.usecases.accept import Accept, Origin
from warmlane_gateway.usecases.cancel import Cancel
from warmlane_gateway.usecases.decide_lane import DecideLane
from warmlane_gateway.usecases.images import ImageStore


@dataclass(frozen=True, slots=True)
class Wired:
    """Everything routes use."""

    catalogue: Catalogue
    profile: Profile
    accept: Accept
    cancel: Cancel
    images: ImageStore
    tasks: Tasks
    assets: Assets
    keys: ApiKeys
    sessions: Sessions
    history: History
    objects: ObjectStore
    lanes: Lanes
    decide_lane: DecideLane
    diagnostics: Diagnostics
    changes: Changes
    checks: Checks
    registry: CollectorRegistry
    stopping: Callable[[], bool]
    secure_cookies: bool
    console: Path | None
    """The folder of the console's built files, where there is one."""


def wired(request: Request) -> Wired:
    """Return what this process was put together with."""
    return cast("Wired", request.app.state.wired)


_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
_query = APIKeyQuery(name="api_key", auto_error=False, description="The same key, for media elements.")


_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A session: see `POST /auth/session`.")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


async def key_holder(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    query: Annotated[str | None, Security(_query)],
) -> Caller:
    """Return whose API key the request carries."""
    key = header if header is not None else query
    found = await wired(request).keys.caller(key) if key else None
    if found is None:
        raise WarmlaneError(
            ErrorCode.INVALID_API_KEY,
            "The API key is not known." if key else "There is no API key in the request.",
            "Send a valid key in the X-API-Key header; `warmlane up` prints one.",
        )
    return found


async def signed_in(request: Request, token: Annotated[str | None, Security(_cookie)]) -> Session:
    """Return whose session the request's cookie stands for."""
    found, expired = await wired(request).sessions.find(token) if token else (None, False)
    if found is not None:
        if request.method not in _READING:
            refuse_other_sites(request)
        return found
    if expired:
        raise WarmlaneError(
            ErrorCode.SESSION_EXPIRED, "The session has expired.", "Sign in again: `warmlane sign-in` makes a link."
        )
    raise WarmlaneError(
        ErrorCode.SESSION_REQUIRED,
        "Nobody is signed in." if token is None else "The session is not known or has ended.",
        "Sign in with the link of `warmlane sign-in`, or send an API key in the X-API-Key header.",
    )


async def caller(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    query: Annotated[str | None, Security(_query)],
    token: Annotated[str | None, Security(_cookie)],
) -> Caller:
    """Return who is asking."""
    if header is None and query is None:
        return (await signed_in(request, token)).caller
    return await key_holder(request, header, query)


async def who_asks(request: Request) -> Caller:
    """Return who is asking, found out anew: for what lasts longer than a key or a session may."""
    return await caller(
        request, request.headers.get("x-api-key"), request.query_params.get("api_key"), request.cookies.get(COOKIE)
    )


def refuse_other_sites(request: Request) -> None:
    """Refuse what another site's page makes a signed-in browser send: browsers name the origin of what they write."""
    site, sender = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    # `none` is a person's own doing: a bookmark, the address line.
    foreign_site = site is not None and site not in {"same-origin", "none"}
    foreign_sender = sender is not None and urlsplit(sender).netloc != request.headers.get("host")
    if foreign_site or foreign_sender:
        raise WarmlaneError(
            ErrorCode.CORS_ORIGIN_BLOCKED,
            "The request comes from another site's page.",
            "Send it from the console, or with an API key.",
        )


def origin(request: Request, caller: Caller) -> Origin:
    """Return where a request comes from."""
    return Origin(caller.owner, request.scope["correlation_id"], request.scope["traceparent"])


Parts = Annotated[Wired, Depends(wired)]
Asker = Annotated[Caller, Depends(caller)]
KeyHolder = Annotated[Caller, Depends(key_holder)]
SignedIn = Annotated[Session, Depends(signed_in)]


async def operator(asker: Asker) -> Caller:
    """Return who is asking, if they may operate the service."""
    if not asker.operator:
        raise WarmlaneError(
            ErrorCode.FORBIDDEN,
            "This needs an operator's key.",
            "Use the key that set the service up; others may only make and see their own tasks.",
        )
    return asker


Operator = Annotated[Caller, Depends(operator)]


async def own_task(task_id: str, parts: Parts, asker: Asker) -> Task:
    """Return the caller's task of the path; somebody else's does not exist for them."""
    task = await parts.tasks.get(task_id, asker.owner) if is_task_id(task_id) else None
    if task is None:
        raise WarmlaneError(
            ErrorCode.TASK_NOT_FOUND,
            f"There is no task {task_id[:64]!r} of yours.",
            "Check the id; GET /tasks lists yours.",
        )
    return task


OwnTask = Annotated[Task, Depends(own_task)]


async def seen_task(task_id: str, parts: Parts, asker: Asker) -> Task:
    """Return the task of the path: the caller's own, or anybody's when an operator looks into it."""
    if asker.operator and is_task_id(task_id):
        found = await parts.tasks.get_any(task_id)
        if found is not None:
            return found
    return await own_task(task_id, parts, asker)


SeenTask = Annotated[Task, Depends(seen_task)]
