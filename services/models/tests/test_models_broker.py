"""The models service as a process with a real broker: a job handed to a lane brings its model and facts are stored."""

import asyncio
import hashlib
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("warmlane_devstack")

from warmlane_contracts.envelope import decode, encode
from warmlane_contracts.messages import ModelEnsured
from warmlane_contracts.samples import samples
from warmlane_contracts.topology import EVENT_STREAM, lane_subject


def manifest(tmp_path: Path) -> Path:
    data = b"weights" * 1000
    file = tmp_path / "shelf" / "unet" / "w.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    path = tmp_path / "models.toml"
    path.write_text(
        'schema_version = 1\n[[model]]\nid = "anisora"\nversion = "3.2.0"\nfamily = "f"\ntype = "single-file"\n'
        'layout = "diffusers"\nlicense = { spdx = "MIT", commercial = "yes" }\nsource = [{ kind = "local", path = "shelf" }]\n'
        'variant = [{ name = "bf16", dtype_on_disk = "bf16", '
        f'file = [{{ path = "unet/w.safetensors", size = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}] }}]\n'
    )
    return path


async def port_of(process) -> int:
    async with asyncio.timeout(30):
        async for line in process.stderr:
            event = json.loads(line)
            if event.get("event") == "health.listening":
                return event["port"]
    raise AssertionError("the service said no port")


async def test_a_job_on_the_real_broker_brings_its_model_and_sigterm_ends_the_service(nats_server, bus, tmp_path):
    env = os.environ | {
        "MODELS_ROOT": str(tmp_path / "models"), "WAN_MODELS_MANIFEST": str(manifest(tmp_path)), "WAN_MODELS_MARGIN": "0",
        "WAN_MODELS_KEYRING": "off", "WARMLANE_NATS_URL": nats_server.url, "WARMLANE_HTTP_PORT": "0",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "warmlane_models", env=env, stderr=asyncio.subprocess.PIPE
    )
    try:
        port = await port_of(process)
        job = next(envelope for envelope in samples() if envelope.type == "warmlane.v1.job.requested")
        subject = lane_subject("anisora", job.data.job_id)
        async with asyncio.timeout(30):
            number, fact = 0, None
            while not isinstance(fact, ModelEnsured):
                # Heard only once the service listens; a lane would get each of these, too.
                number += 1
                await bus.publish(subject, encode(job), message_id=f"{job.id}-{number}")
                await asyncio.sleep(0.1)
                stored = await bus.last(EVENT_STREAM, "wl.v1.event.models.model.-")
                fact = decode(stored.data).data if stored else None
        assert fact.model == "anisora@3.2.0#bf16"
        url = f"http://127.0.0.1:{port}/health/models?dry_run=true"
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())
        assert json.loads(body)["complete"] is True
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
