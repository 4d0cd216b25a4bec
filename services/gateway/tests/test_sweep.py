"""What nobody can see any more is not kept: whatever a deleted task or a lost race left in object storage."""

import asyncio
import base64
from typing import Any

from warmlane_testkit.builders import claimed, released
from warmlane_testkit.waiting import eventually


async def test_a_deleted_clip_leaves_nothing_of_any_attempt(
    gateway, client, submit, status, lane, objects, picture
) -> None:
    task_id = await submit(mode="i2v", reference_image=picture())
    kept = await submit(mode="i2v", reference_image=picture())
    delivery, job = await lane.fetch()
    first = await lane.claim(job)
    for name in ("live.webp", "clip.mp4"):
        await objects.put(f"results/{task_id}/{first}/{name}", b"lost", content_type="image/webp")
    second = await lane.write(released(job.job_id, first, lane="phr00t"), after=first)
    third = await lane.write(claimed(job.job_id, lane="phr00t", attempt=2), after=second)
    live = f"results/{task_id}/{third}/live.webp"
    await objects.put(live, b"live", content_type="image/webp")
    await lane.progress(job, third, 50, 2, live_preview_key=live)
    await lane.finish(delivery, job, third)
    await status(task_id, "done")
    assert (await client.delete(f"/gallery/{task_id}")).status_code == 204
    await eventually(lambda: emptied(gateway))
    assert await objects.list(f"inputs/{task_id}/") + await objects.list(f"results/{task_id}/") == []
    assert len(await objects.list(f"inputs/{kept}/")) == 1


async def test_requests_that_lose_the_race_for_a_key_leave_no_picture(gateway, client, objects, picture) -> None:
    body = {"model": "phr00t", "mode": "i2v", "prompt": "x", "reference_image": picture()}
    before = {info.key for info in await objects.list("inputs/")}
    headers = {"Idempotency-Key": "with-a-picture"}
    answers = await asyncio.gather(*(client.post("/generate", json=body, headers=headers) for _ in range(8)))
    (task_id,) = {answer.json()["task_id"] for answer in answers}
    await eventually(lambda: emptied(gateway))
    stored = {info.key for info in await objects.list("inputs/")} - before
    assert stored == {f"inputs/{task_id}/reference-0.png"}


async def test_an_asset_outlives_the_tasks_that_used_it(client, submit, status, lane, gateway, picture) -> None:
    data = base64.b64decode(picture().partition(",")[2])
    asset: dict[str, Any] = (await client.post("/api/v2/upload-asset", files={"file": data})).json()
    task_id = await submit(reference_image=asset["asset_id"])
    await lane.make()
    await status(task_id, "done")
    await client.delete(f"/gallery/{task_id}")
    await eventually(lambda: emptied(gateway))
    assert (await client.get(asset["url"])).content == data


async def emptied(gateway: Any) -> bool:
    return await gateway.rows("select 1 from trash") == []


async def test_what_killed_and_lost_attempts_left_is_swept_after_the_end(
    gateway, submit, status, lane, objects, monkeypatch
) -> None:
    task_id = await submit()
    delivery, job = await lane.fetch()
    first = await lane.claim(job)
    orphan = f"results/{task_id}/{first}/clip.mp4"
    await objects.put(orphan, b"of a killed worker", content_type="video/mp4")
    second = await lane.write(claimed(job.job_id, lane="phr00t", attempt=2), after=first)
    await lane.finish(delivery, job, second)
    await status(task_id, "done")
    rows = await gateway.rows("select task_id from leftovers")
    assert [row["task_id"] for row in rows] == [task_id], "its time has not come yet"
    await gateway.rows("update leftovers set ended_at = now() - interval '1 hour'")

    async def swept() -> bool:
        return not await gateway.rows("select 1 from leftovers")

    await eventually(swept)
    kept = {info.key for info in await objects.list(f"results/{task_id}/")}
    assert len(kept) == 2
    assert orphan not in kept
