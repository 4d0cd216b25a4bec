"""What a task has to show, before it is done and after. Conditions and ranges are in `test_conditions`."""


async def test_a_suffix_longer_than_the_file_is_the_file(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    answer = await client.get(f"/results/{task_id}", headers={"Range": "bytes=-500"})
    assert (answer.status_code, answer.content) == (206, b"0123456789")
    assert answer.headers["content-range"] == "bytes 0-9/10"


async def test_the_poster_of_a_finished_clip_may_be_kept(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    answer = await client.get((await status(task_id, "done"))["preview_url"])
    assert (answer.content, answer.headers["content-type"]) == (b"poster", "image/webp")
    assert "immutable" in answer.headers["cache-control"]


async def test_a_task_that_waits_has_neither_clip_nor_picture(client, submit) -> None:
    task_id = await submit()
    for path in (f"/results/{task_id}", f"/preview/{task_id}"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")


async def test_a_deleted_task_does_not_exist(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    assert (await client.delete(f"/gallery/{task_id}")).status_code == 204
    for path in (f"/status/{task_id}", f"/status/{task_id}/events", f"/results/{task_id}", f"/preview/{task_id}"):
        assert (await client.get(path)).json()["code"] == "task_not_found"
