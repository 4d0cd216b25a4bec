"""The gallery: finished clips."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response
from warmlane_contracts.errors import ErrorCode, WarmlaneError
from warmlane_jobs.task import TaskStatus

from warmlane_gateway.adapters.tasks import TaskFilter
from warmlane_gateway.api.tasks import Before, Limit, Moment, Wanted
from warmlane_gateway.api.views import TaskPage, task_view
from warmlane_gateway.api.wired import Asker, OwnTask, Parts

router = APIRouter(prefix="/gallery", tags=["gallery"])


@router.get("", summary="Finished clips")
async def gallery(
    parts: Parts,
    asker: Asker,
    limit: Limit = 20,
    before: Before = None,
    model: Annotated[Wanted | None, Query(max_length=64)] = None,
    mode: Annotated[Wanted | None, Query(max_length=64)] = None,
    type: Annotated[Wanted | None, Query(max_length=16)] = None,  # noqa: A002 - the API's word
    text: Annotated[Wanted | None, Query(max_length=200, description="Part of the prompt.")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> TaskPage:
    """List your finished clips, newest first."""
    wanted = TaskFilter(
        owner=asker.owner,
        statuses=(TaskStatus.DONE,),
        model=model,
        mode=mode,
        type=type,
        text=text,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    found = await parts.tasks.list(wanted)
    return TaskPage(items=[task_view(task) for task in found], next=found[-1].task_id if len(found) == limit else None)


@router.delete("/{task_id}", status_code=204, summary="Delete a finished clip")
async def delete(task: OwnTask, parts: Parts, asker: Asker) -> Response:
    """Remove the task and its files for good. One that is not finished is not in the gallery: cancel it instead."""
    if not await parts.tasks.delete(task.task_id, asker.owner):
        raise WarmlaneError(
            ErrorCode.RESULT_NOT_READY,
            f"Task {task.task_id} is {task.state.status}, not done.",
            "Cancel a running task; only finished clips are in the gallery.",
        )
    return Response(status_code=204)
