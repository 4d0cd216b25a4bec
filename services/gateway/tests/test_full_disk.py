"""The database's disk is full: new tasks are refused by that name, and what runs beside the requests waits."""

from typing import Any

import asyncpg


async def test_a_full_disk_is_waited_out(gateway, client, submit, status, lane, monkeypatch) -> None:
    tasks = gateway.gateway._wired.tasks
    refusals, store = iter(range(2)), tasks.store_states

    async def full_at_first(*arguments: Any) -> None:
        if next(refusals, None) is not None:
            raise asyncpg.DiskFullError("no space left on device")
        await store(*arguments)

    monkeypatch.setattr(tasks, "store_states", full_at_first)
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    assert next(refusals, "all raised") == "all raised"
    assert gateway.service.tasks.fault is None


async def test_a_full_disk_refuses_new_tasks_by_its_name(client, gateway, monkeypatch) -> None:
    async def full(*_: Any) -> None:
        raise asyncpg.DiskFullError("no space left on device")

    monkeypatch.setattr(gateway.gateway._wired.tasks, "accept_once", full)
    body = {"model": "phr00t", "prompt": "x"}
    answer = await client.post("/generate", json=body, headers={"Idempotency-Key": "full"})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
