"""What no honest client sends gets an answer of the usual shape, never a 500, and stops nobody else."""

import asyncio

from structlog.testing import capture_logs
from warmlane_testkit.builders import failed
from warmlane_testkit.waiting import eventually


async def test_a_worker_that_writes_what_no_column_holds_stops_nobody(gateway, submit, status, lane) -> None:
    odd, other = await submit(), await submit()
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await lane.write(failed(job.job_id, claim_seq, lane="phr00t", message="lost\0device"), after=claim_seq)
    assert (await status(odd, "failed"))["error"]["message"] == "lost\N{REPLACEMENT CHARACTER}device"
    await lane.claim((await lane.fetch())[1])
    await status(other, "processing")
    assert gateway.service.tasks.fault is None


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(gateway) -> None:
    port = gateway.settings.http.http_port
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /generate HTTP/1.1\r\nHost: x\r\nX-API-Key: {gateway.key}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b'{"model"')
        await writer.drain()
        await eventually(lambda: gateway.gateway._wired.keys._seen)
        writer.close()
        await eventually(lambda: [entry for entry in logs if entry["event"] == "http.answered"])
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
