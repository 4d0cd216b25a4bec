"""The broker goes away and comes back: tasks are accepted meanwhile, and dispatched once."""

from typing import Any

import pytest
from warmlane_testkit.waiting import eventually


@pytest.fixture
def nats_server(own_nats: Any) -> Any:
    """Give the gateway a broker that may be killed."""
    return own_nats


async def test_tasks_accepted_without_a_broker_are_dispatched_once_it_is_back(
    gateway, client, submit, status, lane, bus, nats_server
) -> None:
    before = await submit()
    await eventually(lambda: emptied(gateway))
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    meanwhile = [await submit() for _ in range(3)]
    refused = await client.post(f"/tasks/{before}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (503, "dependency_unavailable")
    assert (await client.get(f"/status/{before}")).json()["status"] == "pending"
    ready = await client.get("/readyz")
    assert (ready.status_code, "broker" in ready.text) == (503, True)
    assert len(await gateway.rows("select 1 from outbox")) == 3
    nats_server.start()
    await eventually(lambda: emptied(gateway), within_s=20)
    assert (await bus.api.ask("STREAM.INFO.WL_LANE"))["state"]["messages"] == 4
    assert gateway.service.tasks.fault is None
    # In which order is not promised: the first try and the relay publish side by side.
    assert {(await lane.make()).task_id for _ in range(4)} == {before, *meanwhile}
    for task_id in (before, *meanwhile):
        await status(task_id, "done")
    assert (await client.get("/readyz")).status_code == 200


async def emptied(gateway: Any) -> bool:
    return await gateway.rows("select 1 from outbox") == []
