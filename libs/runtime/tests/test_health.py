import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry, Counter
from warmlane_runtime import health
from warmlane_runtime.health import Checks, HealthServer


@pytest.fixture
def checks():
    return Checks()


@pytest.fixture
async def server(checks):
    registry = CollectorRegistry()
    Counter("jobs", "Jobs.", ["lane"], registry=registry).labels("anisora").inc(3)
    server = HealthServer(host="127.0.0.1", port=0, checks=checks, registry=registry)
    await server.start()
    yield server
    await server.stop()


async def ask(server, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


async def get(server, path):
    status, _, body = await ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return status, body


async def test_live_is_an_answer(server, checks):
    checks.add("nats", lambda: "down")
    assert await get(server, "/livez") == (200, b'{"live": true}\n')


async def test_ready_names_each_check_and_why_it_fails(server, checks):
    connected = False

    async def nats():
        return None if connected else "not connected to the broker"

    checks.add("nats", nats)
    checks.add("engine", lambda: None)
    status, body = await get(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "checks": {"nats": {"ok": False, "reason": "not connected to the broker"}, "engine": {"ok": True}},
    }
    connected = True
    status, body = await get(server, "/readyz?verbose")
    assert status == 200
    assert json.loads(body)["ready"] is True


async def test_a_check_that_raises_or_hangs_is_not_ready_and_breaks_no_probe(server, checks, monkeypatch):
    monkeypatch.setattr(health, "CHECK_S", 0.05)

    def raises():
        raise ValueError("secret detail")

    checks.add("raises", raises)
    checks.add("hangs", asyncio.Event().wait)
    status, body = await get(server, "/readyz")
    assert status == 503
    answers = json.loads(body)["checks"]
    assert answers["raises"]["reason"] == "check failed: ValueError"
    assert "no answer" in answers["hangs"]["reason"]
    assert b"secret" not in body


async def test_metrics_are_what_prometheus_reads(server):
    status, head, body = await ask(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert status == 200
    assert "text/plain" in head
    assert b'jobs_total{lane="anisora"} 3.0' in body


async def test_head_has_no_body(server):
    status, head, body = await ask(server, b"HEAD /livez HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, b"")
    assert "Content-Length: 15" in head


async def test_what_it_does_not_serve_is_said(server):
    assert (await get(server, "/else"))[0] == 404
    assert (await ask(server, b"POST /livez HTTP/1.1\r\n\r\n"))[0] == 405


async def test_a_slow_or_endless_request_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(health, "_REQUEST_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /livez HT")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    monkeypatch.setattr(health, "_REQUEST_S", 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /" + b"x" * 100_000)
    assert await asyncio.wait_for(cut_off(reader), 2)
    writer.close()


async def cut_off(reader):
    """Say whether the other side closed or reset the connection without an answer."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_stopped_it_listens_no_more(server):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await server.stop()
    await server.stop()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", server.port)
    writer.close()


async def test_a_taken_port_is_an_error_at_start(server, checks):
    other = HealthServer(host="127.0.0.1", port=server.port, checks=checks, registry=CollectorRegistry())
    with pytest.raises(OSError, match="in use"):
        await other.start()
