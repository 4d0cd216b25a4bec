"""A model folder that is not whole is refused, and the refusal says what is wrong."""

import json
import shutil

import pytest

torch = pytest.importorskip("torch", reason="needs the lane environment")

from safetensors.torch import load_file, save_file
from warmlane_contracts.catalogue import load_catalogue
from warmlane_engines import tiny
from warmlane_engines.phr00t import Phr00tEngine
from warmlane_lanekit.engine import EngineFault

RUNTIME = load_catalogue().model_of("phr00t").runtime


@pytest.fixture
def folder(models_root, tmp_path):
    return shutil.copytree(models_root / "phr00t", tmp_path / "phr00t")


def refused(folder) -> str:
    with pytest.raises(EngineFault) as fault:
        Phr00tEngine().load(folder, RUNTIME)
    assert fault.value.code == "model_unavailable"
    return fault.value.detail


def weights(folder):
    return next((folder / "transformer").glob("*.safetensors"))


def test_no_folder(tmp_path) -> None:
    assert "model_index.json is missing" in refused(tmp_path / "phr00t")


def test_a_pickle_is_refused_unread(folder) -> None:
    (folder / "vae" / "extra.bin").write_bytes(b"\x80\x04.")
    assert "is a pickle" in refused(folder)


def test_a_missing_tensor_is_named(folder) -> None:
    tensors = load_file(weights(folder))
    del tensors["blocks.0.attn1.to_q.weight"]
    save_file(tensors, weights(folder))
    assert "blocks.0.attn1.to_q.weight" in refused(folder)


def test_a_tensor_too_many_is_named(folder) -> None:
    tensors = load_file(weights(folder))
    save_file(tensors | {"blocks.9.extra": torch.zeros(1)}, weights(folder))
    assert "blocks.9.extra" in refused(folder)


def test_a_truncated_file_is_refused(folder) -> None:
    path = weights(folder)
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(folder)


def test_a_broken_index_is_refused(folder) -> None:
    (folder / "model_index.json").write_text("{")
    assert "not JSON" in refused(folder)


def test_a_missing_component_is_refused(folder) -> None:
    shutil.rmtree(folder / "vae")
    assert refused(folder)


def test_a_tiny_model_is_small_made_once_and_never_over_another(models_root, tmp_path) -> None:
    for name in tiny.NAMES:
        size = sum(path.stat().st_size for path in (models_root / name).rglob("*") if path.is_file())
        assert size < 1_000_000
        assert not tiny.build(name, models_root)
    real = tmp_path / "phr00t"
    real.mkdir()
    (real / "model_index.json").write_text(json.dumps({}))
    with pytest.raises(FileExistsError, match="not tiny"):
        tiny.build("phr00t", tmp_path)


def test_the_preview_shows_the_colours_of_what_is_encoded(phr00t) -> None:
    """The fitted map turns encoded plain colours back into roughly those colours."""
    vae, preview = phr00t._pipeline.vae, phr00t._preview
    mean, std = preview._mean, preview._std
    for colour in ([0.9, -0.9, -0.9], [-0.9, -0.9, 0.9]):
        picture = torch.tensor(colour).view(1, 3, 1, 1, 1).expand(1, 3, 1, 64, 64)
        with torch.no_grad():
            latents = (vae.encode(picture).latent_dist.mode() - mean) / std
        shown = torch.tensor(preview.picture(latents).resize((1, 1)).getpixel((0, 0))) / 127.5 - 1
        assert int(shown.argmax()) == colour.index(0.9)
