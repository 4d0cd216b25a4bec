"""`POST /generate`: accept a task."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Request
from starlette.responses import Response
from warmlane_contracts.catalogue import load_catalogue
from warmlane_contracts.errors import ErrorCode, FieldError, WarmlaneError

from warmlane_gateway.api.schema import generate_schema
from warmlane_gateway.api.views import Accepted
from warmlane_gateway.api.wired import Asker, Parts, origin
from warmlane_gateway.metrics import ACCEPTED

router = APIRouter(tags=["tasks"])


@router.post(
    "/generate",
    status_code=202,
    response_model=Accepted,
    summary="Make a clip",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": generate_schema(load_catalogue())}},
        }
    },
)
async def generate(
    request: Request,
    parts: Parts,
    asker: Asker,
    idempotency_key: Annotated[
        str | None, Header(description="The same key and body give the same task; another body gives 409.")
    ] = None,
    prefer: Annotated[
        str | None,
        Header(description="`respond-async`: answer at once, also while the task waits for a shared worker."),
    ] = None,
) -> Response:
    """Check the request, store it durably, and answer. What the catalogue does not allow is refused with every field
    named, before anything is stored. While the model's own lane is not available, the answer waits until a shared worker
    takes the task, 30 s at most; `queue_overloaded` says that none did, or that 25 wait already.
    """
    at_once = "respond-async" in (prefer or "").lower()
    body = _object(await request.body())
    task_id = await parts.accept(body, origin(request, asker), idempotency_key, wait=not at_once)
    ACCEPTED.labels(body["model"] if isinstance(body["model"], str) else "", str(body.get("mode") or "implied")).inc()
    return Response(
        b'{"task_id":"%b","status":"pending"}' % task_id.encode(),
        202,
        {"Location": f"/status/{task_id}"} | ({"Preference-Applied": "respond-async"} if at_once else {}),
        media_type="application/json",
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as bad:
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            f"The body is not JSON: {bad}.",
            "Send one JSON object, UTF-8.",
            (FieldError("body", "is not JSON"),),
        ) from bad
    if not isinstance(body, dict):
        raise WarmlaneError(
            ErrorCode.VALIDATION_ERROR,
            "The body is not a JSON object.",
            'Send an object such as {"model": "…", "prompt": "…"}.',
            (FieldError("body", "is not an object"),),
        )
    return body
