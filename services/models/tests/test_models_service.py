"""The models service: it brings what it shall have, hears requests, tells facts, and answers in milliseconds."""

import asyncio
import hashlib
import json
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from warmlane_contracts.envelope import encode, seal
from warmlane_contracts.messages import ModelEnsured, ModelFailed, ModelProgressed
from warmlane_contracts.samples import samples
from warmlane_models.health import ModelsHealth
from warmlane_models.prewarm import prewarm
from warmlane_models.settings import ModelsSettings
from warmlane_models.worklist import Worklist
from warmlane_modelstore.manifest.load import parse
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore
from warmlane_modelstore.transfer.progress import Phase
from warmlane_runtime.health import Checks, HealthServer


def make_store(tmp_path: Path, names=("anisora", "phr00t", "t2v")) -> ModelStore:
    shelf = tmp_path / "shelf"
    text = "schema_version = 1\n"
    for name in names:
        data = name.encode() * 1000
        path = shelf / name / "unet" / "w.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        text += (
            f'[[model]]\nid = "{name}"\nversion = "1.0"\nfamily = "f"\ntype = "single-file"\nlayout = "diffusers"\n'
            f'license = {{ spdx = "MIT", commercial = "yes" }}\nsource = [{{ kind = "local", path = "{shelf / name}" }}]\n'
            f'variant = [{{ name = "bf16", dtype_on_disk = "bf16", file = [{{ path = "unet/w.safetensors", size = {len(data)}, '
            f'sha256 = "{hashlib.sha256(data).hexdigest()}" }}] }}]\n'
        )
    environ = {"WAN_MODELS_KEYRING": "off"}
    settings = StoreSettings(root=tmp_path / "models", margin=0, environ=environ, home=tmp_path)
    return ModelStore(settings, parse(text.encode(), origin=str(tmp_path / "models.toml")))


class Told:
    """Collects facts and lets tests wait for one."""

    def __init__(self):
        self.facts = []
        self._more = asyncio.Event()

    async def __call__(self, message):
        self.facts.append(message)
        self._more.set()

    async def first(self, kind):
        async with asyncio.timeout(10):
            while True:
                for fact in self.facts:
                    if isinstance(fact, kind):
                        return fact
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def service(tmp_path):
    store, told = make_store(tmp_path), Told()
    worklist = Worklist(store, node="node", tell=told, report_s=0.001, retry_s=0.01)
    running = asyncio.create_task(worklist.run())
    yield store, worklist, told
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_offered_is_brought_once_and_told(service):
    store, worklist, told = service
    assert worklist.offer("anisora") is True
    assert worklist.offer("anisora@1.0#bf16") is False
    fact = await told.first(ModelEnsured)
    assert (fact.model, fact.how) == ("anisora@1.0#bf16", "fetched")
    assert store.status("anisora").ready
    assert worklist.offer("anisora") is False
    assert worklist.offer("nothing") is False


async def test_a_failure_is_told_and_tried_again_until_it_works(service, tmp_path):
    store, worklist, told = service
    file = tmp_path / "shelf/phr00t/unet/w.safetensors"
    data = file.read_bytes()
    file.unlink()
    worklist.offer("phr00t")
    assert (await told.first(ModelFailed)).code == "NOT_FOUND"
    file.write_bytes(data)
    (store.places.state("negative.json")).unlink(missing_ok=True)
    assert (await told.first(ModelEnsured)).model == "phr00t@1.0#bf16"


async def test_progress_is_told_while_an_ensure_runs(service, monkeypatch):
    store, worklist, told = service
    original = store.ensure

    def slow(model, options, progress):
        progress.enter(Phase.DOWNLOADING, total=10)
        progress.add(3)
        deadline = time.monotonic() + 10
        while not any(isinstance(fact, ModelProgressed) for fact in told.facts) and time.monotonic() < deadline:
            time.sleep(0.001)
        return original(model, options, progress)

    monkeypatch.setattr(store, "ensure", slow)
    worklist.offer("t2v")
    fact = await told.first(ModelProgressed)
    assert (fact.bytes_done, fact.bytes_total) == (3, 10)
    await told.first(ModelEnsured)


class HintBus:
    """The one call `prewarm` makes, with hints given by the test."""

    def __init__(self, *payloads):
        self._payloads = payloads

    def hints(self, _subject):
        payloads = self._payloads

        class Block:
            async def __aenter__(self):
                async def each():
                    for payload in payloads:
                        yield type("Hint", (), {"data": payload, "subject": "wl.v1.lane.anisora.x"})()

                return each()

            async def __aexit__(self, *_):
                return None

        return Block()


async def test_a_request_brings_its_model_and_noise_does_not(service):
    store, worklist, told = service
    job = next(envelope for envelope in samples() if envelope.type == "warmlane.v1.job.requested")
    other = seal(ModelFailed(node="n", model="m", code="X", detail=""), source="s", subject="x")
    await prewarm(HintBus(b"noise", encode(other), encode(job)), worklist)
    assert (await told.first(ModelEnsured)).model.startswith("anisora@")
    assert not store.status("phr00t").ready


async def ask(port, path):
    def get():
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        return status, json.loads(body), time.perf_counter() - began

    return await asyncio.to_thread(get)


async def test_health_answers_without_side_effects_and_quickly(service):
    store, worklist, told = service
    health = ModelsHealth(store, worklist, ("anisora", "phr00t", "t2v"))
    checks = Checks()
    checks.add("models", health.why_not_complete)
    registry = CollectorRegistry()
    server = HealthServer(
        host="127.0.0.1", port=0, checks=checks, registry=registry, pages={"/health/models": health.page}
    )
    await server.start()
    try:
        status, document, _ = await ask(server.port, "/health/models?dry_run=true")
        assert status == 503
        assert [m["presence"] for m in document["models"]] == ["missing"] * 3
        assert document["bytes_needed"] == sum(len(n) * 1000 for n in ("anisora", "phr00t", "t2v"))
        assert document["queued"] == []
        assert not store.places.root.exists(), "a dry run creates nothing"
        assert "anisora@1.0#bf16 is NOT_PRESENT" in (await ask(server.port, "/readyz"))[1]["checks"]["models"]["reason"]
        status, document, _ = await ask(server.port, "/health/models")
        assert len(document["queued"]) == 3
        async with asyncio.timeout(10):
            while len([fact for fact in told.facts if isinstance(fact, ModelEnsured)]) < 3:
                await asyncio.sleep(0.01)
        answers = [await ask(server.port, "/health/models?dry_run=true&details=true") for _ in range(20)]
        assert answers[0][0] == 200
        assert answers[0][1]["models"][0]["components"][0]["component"] == "unet"
        assert sorted(seconds for _, _, seconds in answers)[10] < 0.02
        assert (await ask(server.port, "/readyz"))[0] == 200
    finally:
        await server.stop()
    assert generate_latest(registry) == b""


def test_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("WARMLANE_MODELS_ENSURE", "anisora, phr00t")
    assert ModelsSettings().models_ensure == ("anisora", "phr00t")
