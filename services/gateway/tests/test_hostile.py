"""What no honest client sends gets an answer of the usual shape, never a 500, and stops nobody else."""

import asyncio
from typing import Any

from structlog.testing import capture_logs
from warmlane_testkit.builders import failed
from warmlane_testkit.waiting import eventually

_DIGITS = "9" * 5000
"""More digits than Python turns into a number."""


async def test_a_nul_character_is_refused_like_any_other_bad_value(client) -> None:
    for path, code in (
        ("/tasks?text=%00", "validation_error"),
        ("/tasks?model=%00", "validation_error"),
        ("/tasks?mode=%00", "validation_error"),
        ("/tasks?lane=%00", "validation_error"),
        ("/tasks?code=%00", "validation_error"),
        ("/tasks?before=%00", "validation_error"),
        ("/gallery?text=a%00b", "validation_error"),
        ("/gallery?type=%00", "validation_error"),
        ("/api/v2/assets/asset_%00", "asset_not_found"),
        ("/status/%00", "task_not_found"),
    ):
        assert (await client.get(path)).json()["code"] == code, path


async def test_a_nul_character_in_a_body_names_its_field(client) -> None:
    for field in ("prompt", "reference_image"):
        body = {"model": "phr00t", "prompt": "x", field: "asset_\0"}
        refusal = (await client.post("/generate", json=body)).json()
        assert (refusal["code"], refusal["errors"][0]["field"]) == ("validation_error", field)


async def test_times_are_taken_with_and_without_a_zone(client, submit) -> None:
    task_id = await submit()
    for moment in ("2026-01-01T00:00:00", "2026-01-01", "1700000000", "2026-01-01T00:00:00Z"):
        after = (await client.get("/tasks", params={"since": moment})).json()
        assert [item["task_id"] for item in after["items"]] == [task_id], moment
        assert (await client.get("/tasks", params={"until": moment})).json()["items"] == [], moment
        assert (await client.get("/gallery", params={"since": moment})).status_code == 200


async def test_numbers_nobody_can_mean(client, submit, status, lane) -> None:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    for given in (f"bytes={_DIGITS}-", f"bytes=0-{_DIGITS}", f"bytes=-{_DIGITS}"):
        answer = await client.get(f"/results/{task_id}", headers={"Range": given})
        assert answer.status_code in {200, 206, 416}, given
    answer = await client.get(f"/status/{task_id}/events", headers={"Last-Event-ID": _DIGITS})
    assert (answer.status_code, answer.text.count("event: status")) == (200, 1)


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


async def test_a_key_that_is_no_text(client) -> None:
    body: dict[str, Any] = {"model": "phr00t", "prompt": "x"}
    answer = await client.post("/generate", json=body, headers={"Idempotency-Key": "a\tb"})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
