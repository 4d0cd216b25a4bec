"""Making a task again: the same pictures and parameters, under an id of its own."""

from warmlane_contracts.errors import ErrorCode
from warmlane_testkit.builders import failed


async def test_a_job_that_was_given_up_is_made_again(client, submit, lane, status) -> None:
    task_id = await submit(seed=7, negative_prompt="rain")
    delivery, job = await lane.fetch()
    await lane.write(failed(job.job_id, lane="phr00t", code=ErrorCode.ATTEMPTS_EXHAUSTED), after=0)
    await delivery.ack()
    await status(task_id, "failed")
    listed = (await client.get("/tasks", params={"status": "failed", "code": "attempts_exhausted"})).json()["items"]
    assert [item["task_id"] for item in listed] == [task_id]
    answer = await client.post(f"/tasks/{task_id}/rerun")
    assert answer.status_code == 202
    again = await lane.make()
    assert again.task_id == answer.json()["task_id"] != task_id
    assert again.params == job.params
    await status(again.task_id, "done")


async def test_another_seed_and_pictures_of_its_own(client, submit, lane, objects, picture, status) -> None:
    first = await submit(mode="i2v", reference_image=picture(), seed=7)
    made = await lane.make()
    await status(first, "done")
    answer = await client.post(f"/tasks/{first}/rerun", json={"seed": 8})
    _, job = await lane.fetch()
    assert (job.task_id, job.params.seed) == (answer.json()["task_id"], 8)
    [mine], [theirs] = job.inputs, made.inputs
    assert mine.key.startswith(f"inputs/{job.task_id}/")
    assert await objects.get(mine.key) == await objects.get(theirs.key)
    drawn = await client.post(f"/tasks/{first}/rerun", json={"seed": -1})
    assert (await status(drawn.json()["task_id"]))["seed"] >= 0


async def test_pictures_that_are_gone_and_tasks_of_others_are_said_so(client, submit, lane, objects, picture) -> None:
    task_id = await submit(mode="i2v", reference_image=picture())
    _, job = await lane.fetch()
    await objects.delete(job.inputs[0].key)
    answer = await client.post(f"/tasks/{task_id}/rerun")
    assert (answer.status_code, answer.json()["code"]) == (410, "input_unavailable")
    assert (await client.post("/tasks/01KE4WD3V0B6Y4T9C0Q2M9N8XH/rerun")).status_code == 404
    assert (await client.post(f"/tasks/{task_id}/rerun", json={"seed": -2})).status_code == 422
