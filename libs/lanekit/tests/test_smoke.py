"""Smoke: a tiny model of the real classes, brought by the store, makes a clip through the lane's engine."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from warmlane_lanekit.smoke import smoke
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.load import parse
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.smoke import check
from warmlane_modelstore.store import ModelStore


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ModelStore:
    root = tmp_path_factory.mktemp("smoke")
    command = [sys.executable, "-m", "warmlane_engines.tiny", "--models-root", str(root / "shelf")]
    subprocess.run(command, check=True, capture_output=True)
    models = "".join(
        f'[[model]]\nid = "{name}"\nversion = "1.0"\nfamily = "tiny"\ntype = "{kind}"\nlayout = "diffusers"\n'
        'license = { spdx = "Apache-2.0", commercial = "yes" }\n'
        f'source = [{{ kind = "local", path = "{root / "shelf" / name}" }}]\n'
        'variant = [{ name = "fp32", dtype_on_disk = "fp32" }]\n'
        for name, kind in (("anisora", "i2v"), ("phr00t", "vace"))
    )
    settings = StoreSettings(root=root / "models", margin=0, environ={"WAN_MODELS_KEYRING": "off"}, home=root)
    return ModelStore(settings, parse(f"schema_version = 1\n{models}".encode(), origin=str(root / "models.toml")))


@pytest.mark.parametrize(("name", "steps"), [("anisora", 2), ("phr00t", 1)])
def test_a_tiny_model_makes_a_clip(store, name, steps):
    store.ensure(name)
    checked = check(store.resolver.resolve(name), store.record(name))
    assert "transformer" in checked.components
    assert "image_encoder" not in checked.components
    with store.use(name) as directory:
        clip = smoke(name, directory, steps, None)
    assert clip.stat().st_size > 500


def test_a_model_without_a_lane_and_a_broken_one_say_so(store, tmp_path: Path):
    with pytest.raises(StoreError) as caught:
        smoke("pony", tmp_path, 1, None)
    assert caught.value.code is Code.SMOKE_FAIL
    with pytest.raises(StoreError) as caught:
        smoke("anisora", tmp_path, 1, None)
    assert caught.value.code is Code.SMOKE_FAIL
