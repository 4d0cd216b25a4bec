"""What routes are given: the use cases and stores of this process, and who is asking."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, APIKeyQuery
from prometheus_client import CollectorRegistry
from warmlane_contracts.catalogue import Catalogue, Profile
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_contracts.ids import is_task_id
from warmlane_runtime.health import Checks
from warmlane_storage.objects import ObjectStore

from warmlane_gateway.adapters.assets import Assets
from warmlane_gateway.adapters.diagnostics import Diagnostics
from warmlane_gateway.adapters.keys import ApiKeys
from warmlane_gateway.adapters.tasks import Tasks
from warmlane_gateway.consumers.changes import Changes
from warmlane_gateway.consumers.lanes import Lanes
from warmlane_gateway.domain.apikey import Caller
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
    objects: ObjectStore
    lanes: Lanes
    decide_lane: DecideLane
    diagnostics: Diagnostics
    changes: Changes
    checks: Checks
    registry: CollectorRegistry


def wired(request: Request) -> Wired:
    """Return what this process was put together with."""
    return cast("Wired", request.app.state.wired)


_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")
_query = APIKeyQuery(name="api_key", auto_error=False, description="The same key, for media elements.")


async def caller(
    request: Request,
    header: Annotated[str | None, Security(_header)],
    query: Annotated[str | None, Security(_query)],
) -> Caller:
    """Return who is asking; the header goes before the query, and a bad one is not rescued by a good other."""
    key = header if header is not None else query
    found = await wired(request).keys.caller(key) if key else None
    if found is None:
        raise WarmlaneError(
            ErrorCode.INVALID_API_KEY,
            "The API key is not known." if key else "There is no API key in the request.",
            "Send a valid key in the X-API-Key header; `warmlane up` prints one.",
        )
    return found


def origin(request: Request, caller: Caller) -> Origin:
    """Return where a request comes from."""
    return Origin(caller.owner, request.scope["correlation_id"], request.scope["traceparent"])


Parts = Annotated[Wired, Depends(wired)]
Asker = Annotated[Caller, Depends(caller)]


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
