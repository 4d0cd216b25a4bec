"""Lanes, as people see and steer them; and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Query
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError

from warmlane_gateway.adapters.diagnostics import DiagnosticFilter
from warmlane_gateway.api.tasks import Moment, Wanted
from warmlane_gateway.api.views import (
    DiagnosticPage,
    LaneDecision,
    LanesView,
    LaneView,
    diagnostic_view,
    lane_view,
    lanes_view,
)
from warmlane_gateway.api.wired import Asker, Operator, Parts
from warmlane_gateway.domain.diagnostic import KINDS

router = APIRouter(tags=["lanes"])


@router.get("/lanes", summary="The lanes")
async def lanes(parts: Parts, _asker: Asker) -> LanesView:
    """Return every lane: whether it is warm, how many wait, how long a clip takes, where its requests go and why; and
    the shared workers that take what a lane cannot.
    """
    return lanes_view(parts.lanes)


@router.post("/lanes/{lane}/mode", summary="Decide where a lane's requests go")
async def decide(lane: str, decision: LaneDecision, parts: Parts, asker: Operator) -> LaneView:
    """Send a lane's requests to shared workers (`degraded`), to the lane whatever its state (`dedicated`), or let the lane's
    state decide (`auto`). A lane controller whose start was refused says so with `auto` and the reason `quota` or
    `capacity`; that ends by itself with the first ready worker. Holds within a second, for waiting tasks too.
    """
    if lane not in parts.lanes.names:
        raise WarmlaneError(
            ErrorCode.NOT_FOUND, f"There is no lane {lane[:64]!r}.", f"There are: {', '.join(parts.lanes.names)}."
        )
    denied = None if decision.reason in {None, "manual"} else decision.reason
    if denied is not None and decision.mode != "auto":
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            f"The reason {denied} goes with the mode auto.",
            "Send the mode auto with it, or the reason manual.",
            (FieldError("reason", "does not go with this mode", "manual"),),
        )
    await parts.decide_lane(lane, decision.mode, denied=denied, by=f"key:{asker.key_id}")
    await parts.lanes.directory.refresh()
    return lane_view(parts.lanes, lane)


@router.get("/admin/diagnostics", summary="What lanes, memory and queues did")
async def diagnostics(
    parts: Parts,
    _operator: Operator,
    kind: Annotated[list[str] | None, Query(description=f"Any of: {', '.join(KINDS)}.")] = None,
    lane: Annotated[Wanted | None, Query(max_length=64)] = None,
    task_id: Annotated[Wanted | None, Query(max_length=64)] = None,
    reason: Annotated[Wanted | None, Query(max_length=300)] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> DiagnosticPage:
    """List diagnostics, newest first."""
    unknown = [one for one in kind or () if one not in KINDS]
    if unknown:
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            f"There is no kind {unknown[0][:64]!r}.",
            f"Ask for any of: {', '.join(KINDS)}.",
            (FieldError("kind", "is not a kind", KINDS),),
        )
    wanted = DiagnosticFilter(
        kinds=tuple(kind or ()),
        lane=lane,
        task_id=task_id,
        reason=reason,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    found = await parts.diagnostics.list(wanted)
    items = [diagnostic_view(row) for row in found]
    return DiagnosticPage(items=items, next=items[-1].id if len(items) == limit else None)
