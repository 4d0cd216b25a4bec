"""SIGKILL at random points and lines that break: what came is not fetched again, and nothing is left lying about."""

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders import MIB, hub_source, manifest_text, model, noise, put, strays
from fault_proxy import FaultProxy
from warmlane_modelstore.manifest.load import load
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.status import State
from warmlane_modelstore.store import ModelStore
from weed import ACCESS_KEY, BUCKET, SECRET_KEY

pytestmark = pytest.mark.fault

SIZE = 300 * MIB
PART = 16 * MIB
POINTS = sorted(random.Random(20).uniform(0.02, 0.98) for _ in range(20))
SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(scope="module")
def content():
    return noise(7, SIZE)


class Source:
    """One place to download from: how much it has served, and a call when it served more."""

    def __init__(self, meter, attribute, entry):
        self._meter, self._attribute, self.entry = meter, attribute, entry

    @property
    def served(self):
        return getattr(self._meter, self._attribute)

    def reset(self):
        setattr(self._meter, self._attribute, 0)

    def when(self, point, act):
        self._meter.on_bytes = lambda total: act() if total >= point else None

    def calm(self):
        self._meter.on_bytes = lambda _: None


@pytest.fixture
def from_hub(hub, content):
    entry = put(hub.root / "org" / "repo", "w.safetensors", content)
    hub.faults.rate = 60 * MIB
    return Source(hub, "bytes_served", model(files=[entry], sources=[hub_source(hub)]))


@pytest.fixture
def from_s3(weed, content, tmp_path):
    entry = put(tmp_path / "up", "w.safetensors", content)
    weed.put("kill/w.safetensors", tmp_path / "up" / "w.safetensors")
    with FaultProxy(weed.port) as proxy:
        proxy.rate = 60 * MIB
        source = {"kind": "s3", "endpoint": proxy.url, "bucket": BUCKET, "prefix": "kill"}
        yield Source(proxy, "bytes_down", model(files=[entry], sources=[source]))


@pytest.fixture(params=["hub", "s3"])
def source(request):
    return request.getfixturevalue(f"from_{request.param}")


def start(root, manifest):
    command = [
        sys.executable,
        str(SUPPORT / "ensure_process.py"),
        str(root),
        str(manifest),
        "small",
        ACCESS_KEY,
        SECRET_KEY,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_whole(root, manifest, content):
    settings = StoreSettings(root=root, manifest=manifest, environ={"WAN_MODELS_KEYRING": "off"}, home=root.parent)
    status = ModelStore(settings, load(manifest)).status("small")
    assert status.state is State.COMPLETE
    assert (status.path / "w.safetensors").read_bytes() == content
    assert strays(root) == []


@pytest.mark.timeout(600)
def test_sigkill_at_twenty_random_points_costs_at_most_one_part(source, content, tmp_path):
    manifest = tmp_path / "models.toml"
    manifest.write_text(manifest_text(source.entry))
    worst = 0
    for number, point in enumerate(POINTS):
        root = tmp_path / f"models{number}"
        root.mkdir()
        source.reset()
        killed = start(root, manifest)
        source.when(point * SIZE, killed.kill)
        killed.communicate(timeout=120)
        assert killed.returncode == -9
        source.calm()
        final = start(root, manifest)
        _, errors = final.communicate(timeout=120)
        assert final.returncode == 0, errors
        check_whole(root, manifest, content)
        worst = max(worst, source.served)
        assert source.served <= SIZE + PART, f"killed at {point:.0%}"
        subprocess.run(["rm", "-rf", str(root)], check=True)
    assert worst >= SIZE


@pytest.mark.timeout(300)
def test_one_download_killed_many_times_ends_whole(source, content, models_root):
    manifest = models_root.parent / "models.toml"
    manifest.write_text(manifest_text(source.entry))
    for point in (0.1, 0.3, 0.5, 0.7, 0.9):
        running = start(models_root, manifest)
        source.when(point * SIZE, running.kill)
        running.communicate(timeout=120)
    source.calm()
    final = start(models_root, manifest)
    _, errors = final.communicate(timeout=120)
    assert final.returncode == 0, errors
    check_whole(models_root, manifest, content)
    assert source.served <= SIZE + 5 * PART


@pytest.mark.timeout(300)
def test_the_network_cut_every_fifty_megabytes(weed, content, tmp_path, models_root):
    entry = put(tmp_path / "up", "w.safetensors", content)
    weed.put("cut/w.safetensors", tmp_path / "up" / "w.safetensors")
    with FaultProxy(weed.port) as proxy:
        proxy.cut_every = 50 * MIB
        source = {"kind": "s3", "endpoint": proxy.url, "bucket": BUCKET, "prefix": "cut"}
        manifest = models_root.parent / "models.toml"
        manifest.write_text(manifest_text(model(files=[entry], sources=[source])))
        final = start(models_root, manifest)
        _, errors = final.communicate(timeout=120)
        assert final.returncode == 0, errors
        assert proxy.connections >= 6
        assert proxy.bytes_down <= SIZE + PART
    check_whole(models_root, manifest, content)


@pytest.mark.timeout(300)
def test_the_hub_cut_every_fifty_megabytes(hub, content, models_root):
    entry = put(hub.root / "org" / "repo", "w.safetensors", content)
    with FaultProxy(hub.port) as proxy:
        proxy.cut_every = 50 * MIB
        source = hub_source(hub) | {"endpoint": proxy.url}
        manifest = models_root.parent / "models.toml"
        manifest.write_text(manifest_text(model(files=[entry], sources=[source])))
        final = start(models_root, manifest)
        _, errors = final.communicate(timeout=120)
        assert final.returncode == 0, errors
        assert proxy.connections >= 6
        assert hub.bytes_served <= SIZE + 6 * PART
    check_whole(models_root, manifest, content)


def test_a_killed_holder_is_replaced_by_a_waiting_process(hub, models_root):
    entry = put(hub.root / "org" / "repo", "w.safetensors", noise(1, 8 * MIB))
    hub.faults.rate = 2 * MIB
    manifest = models_root.parent / "models.toml"
    manifest.write_text(manifest_text(model(files=[entry], sources=[hub_source(hub)])))
    begun = threading.Event()
    hub.on_bytes = lambda total: begun.set() if total > MIB else None
    first = start(models_root, manifest)
    assert begun.wait(30)
    second = start(models_root, manifest)
    hub.faults.rate = 0
    first.kill()
    first.communicate()
    said, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert said.split()[0] == "fetched"
    assert strays(models_root) == []
