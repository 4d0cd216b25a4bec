"""The FastAPI application: routes, the answer to every error, and what every request passes through."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp
from warmlane_contracts.errors import WarmlaneError

from warmlane_gateway.api import assets, auth, console, gallery, generate, lanes, results, service, tasks
from warmlane_gateway.api.context import RequestContext
from warmlane_gateway.api.document import REFUSALS, describe
from warmlane_gateway.api.problems import answer
from warmlane_gateway.api.wired import Wired

_DESCRIPTION = """Warmlane makes clips from text and images on GPUs that keep their models warm.

Send `X-API-Key`. `POST /generate` answers as soon as the task is durable; follow it at `/status/{task_id}` or, live, at
`/status/{task_id}/events`; fetch the clip at `/results/{task_id}`. Errors are `application/problem+json` with a stable
`code` and a `user_action`.
"""


def make_app() -> FastAPI:
    """Return the application without anything behind it: enough for its OpenAPI document."""
    app = FastAPI(
        title="Warmlane",
        version="1",
        description=_DESCRIPTION,
        responses=REFUSALS,
        docs_url="/docs",
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    parts = (generate, tasks, results, gallery, assets, lanes, auth, console, service)
    for router in (part.router for part in parts):
        app.include_router(router)
    for error in (WarmlaneError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(error, answer)
    describe(app)
    return app


def serve_with(wired: Wired, *, max_body_bytes: int) -> ASGIApp:
    """Return the application that a server runs."""
    app = make_app()
    app.state.wired = wired
    return RequestContext(app, max_body_bytes=max_body_bytes)
