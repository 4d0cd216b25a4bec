"""Signing in: a key makes a link, the link opens a session once, the session lives in a cookie no script can read."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response
from warmlane_contracts.errors import ErrorCode, WarmlaneError

from warmlane_gateway.api.views import LinkView, SessionView
from warmlane_gateway.api.wired import KeyHolder, Parts, SignedIn, refuse_other_sites
from warmlane_gateway.domain.session import COOKIE, LINK_LIVES, SESSION_LIVES

router = APIRouter(prefix="/auth", tags=["sign-in"])


class OpenSession(BaseModel):
    """What opens a session: a link's token."""

    model_config = ConfigDict(extra="forbid")

    link: Annotated[str, Field(min_length=1, max_length=200, description="What stands after the `#` of the link.")]


@router.post("/links", status_code=201, summary="Make a sign-in link")
async def new_link(parts: Parts, holder: KeyHolder) -> LinkView:
    """Return a link to the console that signs its first visitor in as the key's owner, within 15 minutes."""
    token = await parts.sessions.new_link(holder.key_id)
    # After the `#`, so that it reaches no server's log and no other site.
    return LinkView(path=f"/app/sign-in#{token}", expires_in_s=int(LINK_LIVES.total_seconds()))


@router.post("/session", status_code=201, summary="Sign in")
async def sign_in(request: Request, opening: OpenSession, parts: Parts) -> Response:
    """Open a session with a link's token and set the cookie `gg_session`."""
    refuse_other_sites(request)
    token = await parts.sessions.open(opening.link)
    found, _ = await parts.sessions.find(token) if token else (None, False)
    if token is None or found is None:
        raise WarmlaneError(
            ErrorCode.SESSION_EXPIRED,
            "This sign-in link has been used, or is older than 15 minutes.",
            "Make a new one with `warmlane sign-in`.",
        )
    body = SessionView(name=found.caller.name, operator=found.caller.operator, expires_at=found.expires_at)
    answer = JSONResponse(body.model_dump(mode="json"), 201)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_LIVES.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=parts.secure_cookies or request.url.scheme == "https",
    )
    return answer


@router.get("/session", summary="Who is signed in?")
async def session(found: SignedIn) -> SessionView:
    """Return whose session the cookie stands for. 401 says that there is none, or that it has expired."""
    return SessionView(name=found.caller.name, operator=found.caller.operator, expires_at=found.expires_at)


@router.delete("/session", status_code=204, summary="Sign out")
async def sign_out(request: Request, parts: Parts) -> Response:
    """End the session for good, everywhere its cookie was copied to. Again is fine."""
    refuse_other_sites(request)
    token = request.cookies.get(COOKIE)
    if token:
        await parts.sessions.end(token)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer
