"""Lists of tasks: filters, pages, and the line between owners."""

import base64

import httpx
import pytest
from warmlane_contracts.apikey import new_key
from warmlane_testkit.builders import failed


@pytest.fixture
async def stranger(gateway):
    """Return a client with a key of somebody else."""
    key = new_key()
    await gateway.gateway._wired.keys.ensure(key, "stranger")
    async with httpx.AsyncClient(base_url=gateway.client.base_url, headers={"X-API-Key": key}) as client:
        yield client


async def test_every_filter_finds_what_it_names_and_nothing_else(client, submit, status, lane, picture) -> None:
    broken = await submit(prompt="a Red kite_1%")
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await lane.write(failed(job.job_id, claim_seq, lane="phr00t"), after=claim_seq)
    await status(broken, "failed")
    other = await submit(model="anisora", prompt="a boat", reference_image=picture())
    waiting = await submit(prompt="a blue kite", mode="i2v", reference_image=picture())
    cut = (await status(other))["created_at"]
    for query, found in (
        ({}, [waiting, other, broken]),
        ({"status": "failed"}, [broken]),
        ({"status": ["failed", "pending"]}, [waiting, other, broken]),
        ({"status": "cancelled"}, []),
        ({"model": "phr00t"}, [waiting, broken]),
        ({"lane": "anisora"}, [other]),
        ({"mode": "t2v"}, [broken]),
        ({"code": "engine_failed"}, [broken]),
        ({"text": "red KITE"}, [broken]),
        ({"text": "_1%"}, [broken]),
        ({"text": "%"}, [broken]),
        ({"since": cut}, [waiting, other]),
        ({"until": cut}, [broken]),
        ({"before": other}, [broken]),
        ({"text": "kite", "status": "pending"}, [waiting]),
    ):
        items = (await client.get("/tasks", params=query)).raise_for_status().json()["items"]
        assert [item["task_id"] for item in items] == found, query


async def test_pages_show_every_task_once_while_new_ones_arrive(client, submit) -> None:
    task_ids = [await submit() for _ in range(5)]
    seen, before = [], None
    while True:
        query = {"limit": 2} | ({"before": before} if before else {})
        page = (await client.get("/tasks", params=query)).json()
        seen += [item["task_id"] for item in page["items"]]
        await submit()
        before = page["next"]
        if before is None:
            break
    assert seen == task_ids[::-1]


async def test_an_asset_of_somebody_else_is_no_asset(client, stranger, picture) -> None:
    data = base64.b64decode(picture().partition(",")[2])
    asset = (await client.post("/api/v2/upload-asset", files={"file": data})).json()
    assert (await stranger.get(asset["url"])).json()["code"] == "asset_not_found"
    body = {"model": "phr00t", "prompt": "x", "reference_image": asset["asset_id"]}
    refused = await stranger.post("/generate", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reference_image")
    assert (await client.post("/generate", json=body)).status_code == 202


async def test_two_owners_may_use_one_idempotency_key(client, stranger) -> None:
    headers, body = {"Idempotency-Key": "order-1"}, {"model": "phr00t", "prompt": "x"}
    answers = [await one.post("/generate", json=body, headers=headers) for one in (client, stranger)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["task_id"] != answers[1].json()["task_id"]


async def test_every_answer_is_traceable_refused_or_not(client, stranger) -> None:
    stranger.headers["X-API-Key"] = new_key()
    answers = [
        await client.get("/tasks"),
        await client.get("/nowhere"),
        await client.put("/generate"),
        await client.post("/generate", content=b"x" * 2_000_001),
        await client.get("/livez"),
        await stranger.get("/tasks"),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 413, 200, 401]
    for answer in answers:
        assert answer.headers["x-correlation-id"]
        assert len(answer.headers["traceparent"].split("-")) == 4
        assert answer.headers["x-content-type-options"] == "nosniff"
