"""A lane's weights: ensured through the store, kept from being collected while mapped, progress told as facts."""

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from warmlane_contracts.messages import ModelEnsured
from warmlane_lanekit.weights import FolderWeights, StoreWeights, open_weights
from warmlane_modelstore.collect import Decision, Goal
from warmlane_modelstore.errors import StoreError
from warmlane_modelstore.manifest.load import parse
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    data = b"weights" * 1000
    file = tmp_path / "shelf" / "unet" / "w.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    manifest = (
        'schema_version = 1\n[[model]]\nid = "anisora"\nversion = "3.2.0"\nfamily = "f"\ntype = "single-file"\n'
        'layout = "diffusers"\nlicense = { spdx = "MIT", commercial = "yes" }\n'
        f'source = [{{ kind = "local", path = "{tmp_path / "shelf"}" }}]\n'
        'variant = [{ name = "bf16", dtype_on_disk = "bf16", '
        f'file = [{{ path = "unet/w.safetensors", size = {len(data)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}] }}]\n'
    )
    settings = StoreSettings(root=tmp_path / "models", margin=0, environ={"WAN_MODELS_KEYRING": "off"}, home=tmp_path)
    return ModelStore(settings, parse(manifest.encode(), origin=str(tmp_path / "models.toml")))


async def test_weights_are_ensured_told_and_kept_from_collect_until_the_lane_lets_go(store):
    told = []
    weights = StoreWeights(store, "anisora", node="node", tell=told.append)
    folder = await weights.folder()
    assert (folder / "unet/w.safetensors").is_file()
    assert [(fact.model, fact.how) for fact in told if isinstance(fact, ModelEnsured)] == [
        ("anisora@3.2.0#bf16", "fetched")
    ]
    assert store.collect(Goal(), dry_run=False).items[0].decision is Decision.KEPT
    assert await weights.folder() == folder
    await weights.close()
    await weights.close()
    assert store.collect(Goal(), dry_run=False).items[0].decision is Decision.REMOVED


async def test_a_model_that_cannot_be_had_fails_the_load_with_the_stores_words(store, tmp_path):
    (tmp_path / "shelf/unet/w.safetensors").unlink()
    with pytest.raises(StoreError) as caught:
        await StoreWeights(store, "anisora", node="node", tell=lambda _: None).folder()
    assert "unet/w.safetensors" in str(caught.value)


async def test_without_the_store_the_folder_is_the_operators(tmp_path):
    weights = open_weights("anisora", store=False, models_root=tmp_path, node="n", tell=lambda _: None)
    assert isinstance(weights, FolderWeights)
    assert await weights.folder() == tmp_path / "anisora"
    await weights.close()


async def test_an_encrypted_model_is_shown_decrypted_from_memory_and_gone_afterwards(store, tmp_path):
    key = base64.b64encode(bytes(range(32))).decode()
    settings = replace(
        store.settings,
        features=frozenset({"encrypt"}),
        environ=store.settings.environ | {"WAN_MODELS_ENCRYPTION_TOKEN": key},
    )
    sealed = ModelStore(settings, store.resolver._manifest)
    weights = StoreWeights(sealed, "anisora", node="node", tell=lambda _: None)
    folder = await weights.folder()
    assert (folder / "unet/w.safetensors").read_bytes() == b"weights" * 1000
    published = sealed.places.model(sealed.resolver.resolve("anisora").id)
    assert not any(b"weightsweights" in path.read_bytes() for path in published.rglob("*") if path.is_file())
    again = await weights.folder()
    assert (again / "unet/w.safetensors").read_bytes() == b"weights" * 1000
    assert not folder.exists()
    await weights.close()
    assert not again.exists()
