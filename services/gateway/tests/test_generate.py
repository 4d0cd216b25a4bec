"""Accepting: durable and dispatched once, or refused with the reason and nothing left behind."""

import asyncio
import base64
import hashlib
import json
import struct
import zlib
from typing import Any

import httpx
import pytest
from warmlane_contracts.apikey import new_key
from warmlane_contracts.topology import LANE_STREAM
from warmlane_testkit.waiting import eventually


async def nothing_happened(gateway: Any, bus: Any) -> None:
    assert (
        await gateway.rows("select 1 from tasks union all select 1 from outbox union all select 1 from idempotency")
        == []
    )
    assert (await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}"))["state"]["messages"] == 0


async def test_an_accepted_task_is_a_row_and_one_message(gateway, submit, lane, bus) -> None:
    task_id = await submit(seed=7, negative_prompt="rain")
    delivery, job = await lane.fetch()
    assert (job.task_id, job.job_id, job.lane, job.mode) == (task_id, f"{task_id}-1", "phr00t", "t2v")
    assert (job.params.seed, job.params.steps, job.params.cfg, job.params.negative_prompt) == (7, 4, 1.0, "rain")
    assert delivery.subject == f"wl.v1.lane.phr00t.{task_id}-1"
    (row,) = await gateway.rows("select status, seed from tasks")
    assert (row["status"], row["seed"]) == ("pending", 7)

    async def outbox_is_empty() -> bool:
        return not await gateway.rows("select 1 from outbox")

    await eventually(outbox_is_empty)


async def test_a_drawn_seed_fits_a_double(submit, lane) -> None:
    await submit()
    _, job = await lane.fetch()
    assert 0 <= job.params.seed < 2**53


@pytest.mark.parametrize(
    ("body", "field", "allowed"),
    [
        ({"model": "anisora", "prompt": "x", "reference_image": "a", "steps": 9}, "steps", 8),
        ({"model": "phr00t", "prompt": "x", "steps": 5}, "steps", 4),
        ({"model": "phr00t", "prompt": "x", "cfg": 1.5}, "cfg", 1.0),
        ({"model": "wan-remix", "prompt": "x", "cfg_scale": 1.5}, "cfg_scale", 1.0),
        ({"model": "wan-remix", "prompt": "x", "guidance_scale": 1.5}, "guidance_scale", 1.0),
        ({"model": "phr00t", "prompt": "x", "colour": "red"}, "colour", None),
        ({"model": "phr00t"}, "prompt", None),
        ({"prompt": "x"}, "model", ["anisora", "phr00t"]),
        ({"model": "phr00t", "prompt": "x", "reference_image": "data:image/png,xx"}, "reference_image", None),
        ({"model": "phr00t", "prompt": "x", "reference_image": "asset_of_nobody"}, "reference_image", None),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_request_that_is_not_valid(gateway, client, bus, body, field, allowed) -> None:
    answer = await client.post("/generate", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    refusal = answer.json()
    assert refusal["code"] == "validation_error"
    assert refusal["user_action"]
    assert refusal["correlation_id"] == answer.headers["x-correlation-id"]
    (error,) = [error for error in refusal["errors"] if error["field"] == field]
    assert error["allowed"] == allowed
    await nothing_happened(gateway, bus)


async def test_a_body_that_is_no_object(gateway, client, bus) -> None:
    for raw in (b"", b"{", b"[]", b'"x"', b"\xff", b"null", b'{"model": NaN}'):
        answer = await client.post("/generate", content=raw, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_error"), raw
        assert answer.json()["user_action"]
    await nothing_happened(gateway, bus)


async def test_a_mode_that_cannot_run(client) -> None:
    answer = await client.post("/generate", json={"model": "anisora", "mode": "t2v", "prompt": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "mode_unavailable")


async def test_who_is_nobody_gets_nothing(gateway, bus) -> None:
    body = {"model": "phr00t", "prompt": "x"}
    async with httpx.AsyncClient(base_url=gateway.client.base_url) as stranger:
        for headers, code in (
            ({}, "session_required"),
            ({"X-API-Key": ""}, "session_required"),
            ({"X-API-Key": "wl_x"}, "invalid_api_key"),
            ({"X-API-Key": new_key()}, "invalid_api_key"),
        ):
            answer = await stranger.post("/generate", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, code), headers
        by_query = await stranger.get("/models", params={"api_key": gateway.key})
        assert by_query.status_code == 200
        rescued = await stranger.get("/models", params={"api_key": gateway.key}, headers={"X-API-Key": new_key()})
        assert rescued.status_code == 401
    await nothing_happened(gateway, bus)


async def test_the_same_key_makes_one_task_however_many_ask_at_once(gateway, client, bus) -> None:
    headers = {"Idempotency-Key": "order-1"}
    body = {"model": "phr00t", "prompt": "once"}
    answers = await asyncio.gather(*(client.post("/generate", json=body, headers=headers) for _ in range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert len(await gateway.rows("select 1 from tasks")) == 1

    async def one_message() -> bool:
        return (await bus.api.ask(f"STREAM.INFO.{LANE_STREAM}"))["state"]["messages"] == 1

    await eventually(one_message)
    other = await client.post("/generate", json={**body, "prompt": "twice"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    unusable = await client.post("/generate", json=body, headers={"Idempotency-Key": "x" * 300})
    assert unusable.status_code == 422


async def test_a_picture_is_stored_and_referred_to(submit, lane, objects, picture) -> None:
    uri = picture("JPEG")
    task_id = await submit(mode="i2v", reference_image=uri)
    _, job = await lane.fetch()
    (reference,) = job.inputs
    data = base64.b64decode(uri.partition(",")[2])
    assert reference.key == f"inputs/{task_id}/reference-0.jpg"
    assert (reference.content_type, reference.sha256) == ("image/jpeg", hashlib.sha256(data).hexdigest())
    assert await objects.get(reference.key) == data


async def test_an_asset_is_uploaded_fetched_and_used(client, submit, lane, picture) -> None:
    data = base64.b64decode(picture().partition(",")[2])
    answer = await client.post("/api/v2/upload-asset", files={"file": ("any.txt", data)})
    assert answer.status_code == 201
    asset = answer.json()
    assert (asset["content_type"], asset["width"], asset["height"]) == ("image/png", 32, 24)
    assert (await client.get(asset["url"])).content == data
    await submit(reference_image=asset["asset_id"])
    _, job = await lane.fetch()
    assert job.inputs[0].key == f"assets/{asset['asset_id']}/picture.png"
    assert (await client.get("/api/v2/assets/asset_nobody")).json()["code"] == "asset_not_found"


def bomb(width: int = 60_000, height: int = 60_000) -> str:
    """Return a small PNG that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


async def test_bad_pictures_are_refused_before_anything_is_stored(gateway, client, bus, picture) -> None:
    whole = base64.b64decode(picture(size=(300, 300), colour="blue").partition(",")[2])
    truncated = "data:image/png;base64," + base64.b64encode(whole[: len(whole) // 2]).decode()
    text = "data:image/png;base64," + base64.b64encode(b"<svg/>").decode()
    large = "data:image/png;base64," + base64.b64encode(b"x" * 1_000_001).decode()
    for uri, code, status in (
        (bomb(), "payload_too_large", 413),
        (truncated, "unsupported_media", 415),
        (text, "unsupported_media", 415),
        (large, "payload_too_large", 413),
    ):
        answer = await client.post("/generate", json={"model": "phr00t", "prompt": "x", "reference_image": uri})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["errors"][0]["field"] == "reference_image"
    await nothing_happened(gateway, bus)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_the_limit(client, chunked) -> None:
    async def chunks() -> Any:
        for _ in range(30):
            yield b"x" * 100_000

    answer = await client.post("/generate", content=chunks() if chunked else b"x" * 2_000_001)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_every_answer_says_where_it_belongs(client) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await client.get(
        "/models", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Correlation-Id": "mine-1"}
    )
    assert answer.headers["x-correlation-id"] == "mine-1"
    assert answer.headers["traceparent"].split("-")[1] == trace
    insane = await client.get("/models", headers={"X-Correlation-Id": "a b\t<x>"})
    assert insane.headers["x-correlation-id"] != "a b\t<x>"


async def test_every_refusal_has_one_shape(client) -> None:
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/generate", 405, "method_not_allowed"),
        ("GET", "/status/nonsense", 404, "task_not_found"),
        ("GET", "/status/01KE0000000000000000000000", 404, "task_not_found"),
        ("GET", "/gallery?limit=1000", 422, "validation_error"),
        ("GET", "/tasks?status=lost", 422, "validation_error"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "user_action", "correlation_id", "errors"} <= set(answer.json())


async def test_a_full_lane_answers_overloaded_with_a_time(gateway, client, submit) -> None:
    lanes = client  # the bound is read from the settings; one task waits, so a bound of one refuses the next
    await submit()
    bound = gateway.gateway._wired.lanes
    bound._bound = 1
    await eventually(lambda: bound.waiting("phr00t") == 1)
    answer = await lanes.post("/generate", json={"model": "phr00t", "prompt": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_overloaded")
    assert answer.json()["user_action"] == f"Try again in {answer.headers['retry-after']} s."
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_an_error_of_ours_is_a_problem_without_a_stack(gateway, client, monkeypatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(gateway.gateway._wired.tasks, "list", broken)
    answer = await client.get("/tasks")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_the_models_and_health_are_told(gateway, client) -> None:
    models = (await client.get("/models")).json()
    assert models["profile"] == "tiny"
    assert [model["id"] for model in models["models"]] == ["anisora", "phr00t"]
    assert (await client.get("/health")).json()["status"] == "ok"
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/livez")).json() == {"live": True}
    assert "warmlane_http_requests_total" in (await client.get("/metrics")).text
    lanes = (await client.get("/lanes")).json()["lanes"]
    assert [(lane["lane"], lane["availability"]) for lane in lanes] == [
        ("anisora", "unavailable"),
        ("phr00t", "unavailable"),
    ]


def test_the_openapi_document_is_fresh() -> None:
    from pathlib import Path

    from warmlane_gateway.api.app import make_app

    committed = json.loads((Path(__file__).parents[3] / "docs/api/openapi.json").read_text("utf-8"))
    assert committed == json.loads(json.dumps(make_app().openapi())), "run 'make generate' and commit the result"
