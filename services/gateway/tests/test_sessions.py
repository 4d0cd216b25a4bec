"""Signing in: a link works once, the cookie stands for its key's owner, and other sites' pages get nowhere with it."""

import re
from dataclasses import replace

import httpx
import pytest
from warmlane_gateway.api import console_events
from warmlane_gateway.domain.session import COOKIE


@pytest.fixture
async def browser(gateway):
    """Return a client without a key, as a browser is."""
    async with httpx.AsyncClient(base_url=str(gateway.client.base_url), timeout=20) as plain:
        yield plain


@pytest.fixture
def link(client):
    """Return a function that makes a sign-in link and returns its token."""

    async def make() -> str:
        made = (await client.post("/auth/links")).raise_for_status().json()
        assert made["path"].startswith("/app/sign-in#")
        return made["path"].partition("#")[2]

    return make


@pytest.fixture
async def signed_in(browser, link):
    """Return a browser with a session."""
    (await browser.post("/auth/session", json={"link": await link()})).raise_for_status()
    return browser


async def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_link_signs_in_once(browser, link) -> None:
    token = await link()
    answer = await browser.post("/auth/session", json={"link": token})
    assert answer.status_code == 201
    assert answer.json()["operator"] is True
    cookie = answer.headers["set-cookie"]
    assert re.match(rf"{COOKIE}=[\w-]{{43}};", cookie)
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert (await browser.get("/auth/session")).json()["name"] == "bootstrap"
    await refused(await browser.post("/auth/session", json={"link": token}), 401, "session_expired")


async def test_behind_a_proxy_that_ends_tls_the_cookie_is_secure(gateway, browser, link) -> None:
    application = gateway.gateway._http._server.config.app._app
    application.state.wired = replace(gateway.gateway._wired, secure_cookies=True)
    answer = await browser.post("/auth/session", json={"link": await link()})
    assert "Secure" in answer.headers["set-cookie"]


async def test_without_anything_a_session_is_required(browser) -> None:
    await refused(await browser.get("/tasks"), 401, "session_required")
    await refused(await browser.get("/tasks", headers={"Cookie": f"{COOKIE}=made-up"}), 401, "session_required")
    await refused(await browser.post("/auth/links"), 401, "invalid_api_key")


async def test_a_bad_key_is_not_rescued_by_a_good_session(signed_in) -> None:
    assert (await signed_in.get("/tasks")).status_code == 200
    for bad in (
        {"headers": {"X-API-Key": "wl_bad"}},
        {"params": {"api_key": "wl_bad"}},
    ):
        await refused(await signed_in.get("/tasks", **bad), 401, "invalid_api_key")


async def test_a_session_cannot_make_links(signed_in) -> None:
    await refused(await signed_in.post("/auth/links"), 401, "invalid_api_key")


async def test_signing_out_ends_the_session_everywhere(signed_in) -> None:
    copied = signed_in.cookies[COOKIE]
    assert (await signed_in.delete("/auth/session")).status_code == 204
    await refused(await signed_in.get("/tasks", headers={"Cookie": f"{COOKIE}={copied}"}), 401, "session_required")
    assert (await signed_in.delete("/auth/session")).status_code == 204


async def test_signing_out_ends_what_still_streams(signed_in, monkeypatch) -> None:
    monkeypatch.setattr(console_events, "_ALLOWED_S", 0.0)
    async with signed_in.stream("GET", "/events") as stream:
        lines = stream.aiter_lines()
        assert "event: snapshot" in [await anext(lines) for _ in range(4)]
        assert (await signed_in.delete("/auth/session")).status_code == 204
        assert "event: bye" in [line async for line in lines]


async def test_old_links_and_sessions(gateway, browser, link) -> None:
    token = await link()
    await gateway.rows("update sign_in_links set expires_at = now()")
    await refused(await browser.post("/auth/session", json={"link": token}), 401, "session_expired")
    (await browser.post("/auth/session", json={"link": await link()})).raise_for_status()
    await gateway.rows("update sessions set expires_at = now()")
    await refused(await browser.get("/tasks"), 401, "session_expired")


async def test_a_revoked_key_ends_its_sessions(gateway, signed_in) -> None:
    await gateway.rows("update api_keys set revoked_at = now()")
    await refused(await signed_in.get("/tasks"), 401, "session_required")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_other_sites_cannot_write(signed_in, client, headers) -> None:
    body = {"model": "phr00t", "prompt": "x"}
    await refused(await signed_in.post("/generate", json=body, headers=headers), 403, "cors_origin_blocked")
    await refused(await signed_in.delete("/auth/session", headers=headers), 403, "cors_origin_blocked")
    # A key is no cookie: no browser sends it by itself.
    assert (await client.post("/generate", json=body, headers=headers)).status_code == 202


async def test_the_console_itself_can_write(signed_in) -> None:
    host = str(signed_in.base_url).rstrip("/")
    headers = {"Origin": host, "Sec-Fetch-Site": "same-origin"}
    made = await signed_in.post("/generate", json={"model": "phr00t", "prompt": "x"}, headers=headers)
    assert made.status_code == 202


async def test_tokens_are_nowhere(gateway, browser, link, caplog) -> None:
    token = await link()
    (await browser.post("/auth/session", json={"link": token})).raise_for_status()
    secrets = (token, browser.cookies[COOKIE])
    rows = await gateway.rows("select * from sign_in_links union all select hash, key_id, expires_at from sessions")
    assert not any(secret in f"{rows}{caplog.text}" for secret in secrets)
