"""What no honest client sends gets an answer of the usual shape, never a 500, and stops nobody else."""

from warmlane_testkit.builders import failed


async def test_a_worker_that_writes_what_no_column_holds_stops_nobody(gateway, submit, status, lane) -> None:
    odd, other = await submit(), await submit()
    _, job = await lane.fetch()
    claim_seq = await lane.claim(job)
    await lane.write(failed(job.job_id, claim_seq, lane="phr00t", message="lost\0device"), after=claim_seq)
    assert (await status(odd, "failed"))["error"]["message"] == "lost\N{REPLACEMENT CHARACTER}device"
    await lane.claim((await lane.fetch())[1])
    await status(other, "processing")
    assert gateway.service.tasks.fault is None
