"""Conversion: the tensors are bit for bit what diffusers and torch make of the same files the slow way.

The parts without torch run everywhere; those that load real (tiny) Wan classes run where torch and diffusers are.
"""

import json
import random
import struct

import ml_dtypes
import numpy as np
import pytest
from builders import hub_source, model, put, store
from hypothesis import given
from hypothesis import strategies as st
from warmlane_modelstore.convert.casting import cast
from warmlane_modelstore.convert.names import transformer_name, vae_names
from warmlane_modelstore.convert.selection import Rule, check_blocks, select, split_aio
from warmlane_modelstore.convert.tensors import Outline, Tensor, TensorFile, TensorWriter
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.status import State
from warmlane_modelstore.store import EnsureOptions
from warmlane_modelstore.transfer.backoff import Cancelled

DTYPES = {"F32": np.float32, "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "U8": np.uint8}
NAMES = {np.dtype(value): key for key, value in DTYPES.items()}


def file_of(tensors: dict) -> bytes:
    """A safetensors file, written by hand."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = array.tobytes()
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def read(path) -> dict:
    with TensorFile(path) as file:
        return {
            name: np.frombuffer(file.read(t), dtype=DTYPES[t.dtype]).reshape(t.shape)
            for name, t in file.tensors.items()
        }


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def block(seed, n):
    return {
        f"blocks.{n}.self_attn.q.weight": numbers(seed, 6, 4),
        f"blocks.{n}.norm3.weight": numbers(seed + 1, 4),
        f"blocks.{n}.modulation": numbers(seed + 2, 1, 6, 4),
        f"blocks.{n}.ffn.0.weight": numbers(seed + 3, 8, 4),
    }


def test_what_is_written_is_read_again_and_has_the_hash_it_was_given(tmp_path):
    writer = TensorWriter(
        tmp_path / "x.safetensors", [Outline("a", "F32", (2, 3)), Outline("b", "U8", (5,)), Outline("s", "F32", ())]
    )
    array = numbers(1, 2, 3)
    writer.write(array.tobytes())
    writer.write(b"hello" + struct.pack("<f", 7.0))
    digest = writer.finish()
    import hashlib

    data = (tmp_path / "x.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == digest
    assert len(data) == writer.size
    found = read(tmp_path / "x.safetensors")
    assert np.array_equal(found["a"], array)
    assert found["b"].tobytes() == b"hello"
    assert found["s"] == 7.0


@pytest.mark.parametrize("damage", ["cut", "garbage", "header", "overlong", "dtype"])
def test_a_broken_file_is_refused_not_guessed(tmp_path, damage):
    good = file_of({"a": numbers(1, 64)})
    bad = {
        "cut": good[:-8],
        "garbage": b"PK\x03\x04" + b"x" * 200,
        "header": struct.pack("<Q", 10) + b"{]",
        "overlong": struct.pack("<Q", 1 << 60) + good[8:],
        "dtype": good.replace(b'"F32"', b'"X99"'),
    }[damage]
    (tmp_path / "x.safetensors").write_bytes(bad)
    with pytest.raises(StoreError) as caught:
        TensorFile(tmp_path / "x.safetensors")
    assert caught.value.code is Code.CONVERT_FAIL


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 50))
def test_casting_in_pieces_is_casting_at_once(seed, rows, columns):
    values = np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32)
    scale = np.random.default_rng(seed + 1).random(rows, dtype=np.float32)
    fp8 = values.astype(ml_dtypes.float8_e4m3fn)
    raw = fp8.tobytes()
    pieces = iter([memoryview(raw[i : i + 7]) for i in range(0, len(raw), 7)])
    got = b"".join(bytes(p) for p in cast(pieces, "F8_E4M3", "BF16", scale, columns))
    assert got == (fp8.astype(np.float32) * scale[:, None]).astype(ml_dtypes.bfloat16).tobytes()


def test_norms_that_swap_places_swap_and_others_stay():
    assert transformer_name("blocks.3.norm3.weight") == "blocks.3.norm2.weight"
    assert transformer_name("blocks.3.norm2.weight") == "blocks.3.norm3.weight"
    assert transformer_name("img_emb.proj.4.bias") == "condition_embedder.image_embedder.norm2.bias"
    assert transformer_name("head.modulation") == "scale_shift_table"
    assert transformer_name("vace_blocks.0.after_proj.bias") == "vace_blocks.0.proj_out.bias"


def test_scales_are_used_up_and_what_cannot_be_understood_is_refused():
    def tensor(name, dtype, *shape):
        size = int(np.prod(shape)) * (4 if dtype == "F32" else 1)
        return Tensor(name, dtype, shape, 0, size)

    fine = [
        tensor("a.weight", "F8_E4M3", 3, 4),
        tensor("a.scale_weight", "F32", 1),
        tensor("a.scale_input", "F32", 1),
        tensor("scaled_fp8", "F8_E4M3", 2),
    ]
    moves = select({t.name: t for t in fine}, str, Rule(), "file")
    assert [m.outline.name for m in moves] == ["a.weight"]
    assert moves[0].scale.name == "a.scale_weight"
    for broken in (
        [tensor("b.scale_weight", "F32", 1)],
        [tensor("a.weight", "F32", 3, 4), tensor("a.scale_weight", "F32", 1)],
        [tensor("a.weight", "F8_E4M3", 3, 4), tensor("a.scale_weight", "F32", 2)],
    ):
        with pytest.raises(StoreError) as caught:
            select({t.name: t for t in broken}, str, Rule(), "file")
        assert caught.value.code is Code.CONVERT_FAIL
    with pytest.raises(StoreError, match="unknown parts"):
        split_aio({"clip_vision.x": tensor("clip_vision.x", "F32", 1)}, "file")


def test_a_missing_tensor_and_a_missing_block_are_found():
    names = [f"blocks.{n}.{part}" for n in range(3) for part in ("a", "b")]
    check_blocks(names, 3, "x")
    with pytest.raises(StoreError, match=r"blocks\.1\.b"):
        check_blocks([n for n in names if n != "blocks.1.b"], None, "x")
    with pytest.raises(StoreError, match=r"blocks\.3\.a"):
        check_blocks(names, 4, "x")


# Through ensure ------------------------------------------------------------------------------------------------------


def wan_original(hub, **extra):
    """Two experts of two shards, as AniSora lays them out, and a lender of the rest."""
    base, lender = hub.root / "org/anisora", hub.root / "org/wan"
    for folder, seed in (("high_noise_model", 1), ("low_noise_model", 50)):
        shards = [block(seed, 0), block(seed + 10, 1) | {"head.modulation": numbers(seed + 20, 1, 2, 4)}]
        index = {}
        for i, tensors in enumerate(shards, 1):
            name = f"diffusion_pytorch_model-{i:05d}-of-00002.safetensors"
            put(base, f"V3.2/{folder}/{name}", file_of(tensors))
            index |= dict.fromkeys(tensors, name)
        put(
            base,
            f"V3.2/{folder}/diffusion_pytorch_model.safetensors.index.json",
            json.dumps({"weight_map": index}).encode(),
        )
        put(base, f"V3.2/{folder}/config.json", b"{}")
    put(base, "V3.2/Wan2.1_VAE.pth", b"pickle")
    for path in (
        "vae/w.safetensors",
        "text_encoder/w.safetensors",
        "tokenizer/t.json",
        "scheduler/s.json",
        "model_index.json",
    ):
        put(lender, path, path.encode())
    for name in ("transformer", "transformer_2"):
        put(lender, f"{name}/config.json", b'{"num_layers": 2}')
    return [
        model("wan", type="i2v", sources=[hub_source(hub, "org/wan", allow=["*"])]),
        model(
            "anisora",
            type="i2v",
            layout="wan-original",
            sources=[hub_source(hub, "org/anisora", subfolder="V3.2", allow=["*_noise_model/*"], ignore=["*/config.json"])],
            variant={"dtype_on_disk": "fp32", "convert": "bf16", "keep_fp32": ["scale_shift_table", "norm2"]},
            components={"required": ["transformer_2"]},
            borrow=[{"model": "wan", "paths": ["model_index.json", "vae/*", "text_encoder/*", "tokenizer/*", "scheduler/*", "transformer*/config.json"]}],
            **extra,
        ),
    ]  # fmt: skip


def test_an_original_wan_folder_becomes_a_diffusers_folder_in_bf16(hub, models_root):
    made = store(models_root, *wan_original(hub))
    made.ensure("anisora")
    path = made.status("anisora").path
    assert (
        sorted(p.relative_to(path).as_posix() for p in path.rglob("*.*") if p.is_file() and "noise" in p.as_posix())
        == []
    )
    shard = read(path / "transformer_2/diffusion_pytorch_model-00001-of-00002.safetensors")
    source = block(50, 0)
    assert shard["blocks.0.attn1.to_q.weight"].dtype == ml_dtypes.bfloat16
    assert np.array_equal(
        shard["blocks.0.attn1.to_q.weight"], source["blocks.0.self_attn.q.weight"].astype(ml_dtypes.bfloat16)
    )
    assert np.array_equal(shard["blocks.0.norm2.weight"], source["blocks.0.norm3.weight"])
    assert np.array_equal(shard["blocks.0.scale_shift_table"], source["blocks.0.modulation"])
    index = json.loads((path / "transformer/diffusion_pytorch_model.safetensors.index.json").read_text())
    assert index["weight_map"]["scale_shift_table"] == "diffusion_pytorch_model-00002-of-00002.safetensors"
    assert index["metadata"]["total_size"] == sum(
        a.nbytes
        for i in (1, 2)
        for a in read(path / f"transformer/diffusion_pytorch_model-0000{i}-of-00002.safetensors").values()
    )
    record = json.loads((path / ".verified.json").read_text())
    assert {o["path"].split("/")[0] for o in record["origins"]} == {"high_noise_model", "low_noise_model"}
    assert made.verify("anisora", workers=2).intact
    assert not any(r[1].endswith(".pth") for r in hub.requests)
    # Raw shards are gone; only what is published, and what the lender will need, is kept.
    kept = {f["sha256"] for f in record["files"]}
    assert {p.name for p in (models_root / ".blobs").rglob("*") if p.is_file()} <= kept


def test_a_conversion_is_resumed_without_fetching_again(hub, models_root, monkeypatch):
    entries = wan_original(hub)
    first = store(models_root, *entries)
    from warmlane_modelstore.convert import converter as module

    written = []
    original = module.Converter._write

    def stops_at_the_third(self, output, *rest):
        if len(written) == 2:
            raise Cancelled
        written.append(output.path)
        return original(self, output, *rest)

    monkeypatch.setattr(module.Converter, "_write", stops_at_the_third)
    with pytest.raises(Cancelled):
        first.ensure("anisora")
    monkeypatch.setattr(module.Converter, "_write", original)
    hub.reset()
    second = store(models_root, *entries)
    assert second.status("anisora").state is State.PARTIAL
    second.ensure("anisora")
    assert hub.bytes_served == 0
    assert second.verify("anisora", workers=2).intact


def test_a_lost_output_is_made_again_from_its_sources(hub, models_root):
    made = store(models_root, *wan_original(hub))
    made.ensure("anisora")
    path = made.status("anisora").path
    victim = path / "transformer/diffusion_pytorch_model-00001-of-00002.safetensors"
    before = victim.read_bytes()
    victim.unlink()
    for blob in (models_root / ".blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == before:
            blob.unlink()
    made.ensure("anisora")
    assert victim.read_bytes() == before
    assert made.status("anisora").ready


def test_two_experts_of_the_same_bytes_do_not_lose_each_others_source(hub, models_root):
    entries = wan_original(hub)
    base = hub.root / "org/anisora/V3.2"
    for shard in (base / "high_noise_model").iterdir():
        (base / "low_noise_model" / shard.name).write_bytes(shard.read_bytes())
    made = store(models_root, *entries)
    made.ensure("anisora")
    assert made.verify("anisora", workers=2).intact


def test_an_original_folder_with_a_tensor_missing_is_refused(hub, models_root):
    entries = wan_original(hub)
    broken = block(50, 0)
    del broken["blocks.0.ffn.0.weight"]
    put(
        hub.root / "org/anisora",
        "V3.2/low_noise_model/diffusion_pytorch_model-00001-of-00002.safetensors",
        file_of(broken),
    )
    made = store(models_root, *entries)
    with pytest.raises(StoreError) as caught:
        made.ensure("anisora")
    assert caught.value.code is Code.CONVERT_FAIL
    assert "blocks.0.ffn.net.0.proj.weight" in caught.value.detail
    assert not made.status("anisora").path.exists()


def aio_tensors(*, scaled):
    tensors = {f"model.diffusion_model.{name}": array for name, array in (block(1, 0) | block(9, 1)).items()}
    tensors |= {
        "vae.conv1.weight": numbers(30, 3, 3),
        "text_encoders.umt5xxl.transformer.shared.weight": numbers(31, 5, 4),
    }
    tensors["text_encoders.umt5xxl.spiece_model"] = np.zeros(16, np.uint8)
    for name in [n for n in tensors if n.endswith(("q.weight", "ffn.0.weight", "shared.weight"))]:
        weight = tensors[name]
        if scaled:
            scale = np.float32(np.abs(weight).max() / 448)
            tensors[name.replace(".weight", ".scale_weight")] = np.array([scale], np.float32)
            weight = weight / scale
        tensors[name] = weight.astype(ml_dtypes.float8_e4m3fn)
    return tensors


def aio_models(hub, data, *, lend, **extra):
    files = [
        put(hub.root / "org/aio", "Mega/all.safetensors", data)
        | {"path": "all.safetensors", "source_path": "Mega/all.safetensors"}
    ]
    lender = hub.root / "org/wan"
    names = ["tokenizer/t.json", "scheduler/s.json"] + (
        ["vae/w.safetensors", "text_encoder/w.safetensors"] if lend else []
    )
    for path in names:
        put(lender, path, path.encode())
    return [
        model("wan", type="single-file", sources=[hub_source(hub, "org/wan", allow=["*"])]),
        model(
            "aio",
            type="vace",
            layout="aio",
            files=files,
            sources=[hub_source(hub, "org/aio")],
            variant={"dtype_on_disk": "fp8", "convert": "bf16"},
            borrow=[{"model": "wan", "paths": ["*/*"]}],
            inline=[{"path": "transformer/config.json", "text": '{"num_layers": 2}'}],
            **extra,
        ),
    ]


@pytest.mark.parametrize("scaled", [False, True])
def test_an_all_in_one_file_is_split_and_its_fp8_dequantised(hub, models_root, scaled):
    tensors = aio_tensors(scaled=scaled)
    made = store(models_root, *aio_models(hub, file_of(tensors), lend=False))
    made.ensure("aio")
    path = made.status("aio").path
    transformer = read(path / "transformer/diffusion_pytorch_model.safetensors")
    name = "model.diffusion_model.blocks.1.ffn.0.weight"
    scale = tensors[name.replace(".weight", ".scale_weight")] if scaled else np.float32(1)
    want = (tensors[name].astype(np.float32) * scale).astype(ml_dtypes.bfloat16)
    assert np.array_equal(transformer["blocks.1.ffn.net.0.proj.weight"], want)
    assert not [n for n in transformer if "scale_weight" in n]
    assert np.array_equal(
        read(path / "vae/diffusion_pytorch_model.safetensors")["conv1.weight"], tensors["vae.conv1.weight"]
    )
    assert read(path / "text_encoder/model.safetensors")["shared.weight"].dtype == ml_dtypes.bfloat16


def test_lent_components_replace_those_of_the_all_in_one_file(hub, models_root):
    made = store(models_root, *aio_models(hub, file_of(aio_tensors(scaled=False)), lend=True))
    made.ensure("aio")
    path = made.status("aio").path
    assert (path / "vae/w.safetensors").read_bytes() == b"vae/w.safetensors"
    assert not (path / "vae/diffusion_pytorch_model.safetensors").exists()
    assert not (path / "text_encoder/model.safetensors").exists()


def test_large_components_are_written_in_shards_with_an_index(hub, models_root, monkeypatch):
    from warmlane_modelstore.convert.converter import Converter

    monkeypatch.setitem(Converter.__init__.__kwdefaults__, "shard_bytes", 100)
    made = store(models_root, *aio_models(hub, file_of(aio_tensors(scaled=False)), lend=True))
    made.ensure("aio", EnsureOptions(fresh=True))
    folder = made.status("aio").path / "transformer"
    shards = sorted(folder.glob("*.safetensors"))
    index = json.loads((folder / "diffusion_pytorch_model.safetensors.index.json").read_text())
    assert len(shards) > 2
    assert set(index["weight_map"].values()) == {shard.name for shard in shards}
    assert set(index["weight_map"]) == {name for shard in shards for name in read(shard)}


def test_random_headers_never_crash_the_reader(tmp_path):
    rng = random.Random(4)
    good = bytearray(file_of({"a": numbers(1, 8), "b": numbers(2, 3, 3)}))
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        (tmp_path / "x").write_bytes(bad)
        try:
            TensorFile(tmp_path / "x").close()
        except StoreError as error:
            assert error.code is Code.CONVERT_FAIL  # noqa: PT017


def test_vae_names_of_both_stackings():
    names = [f"decoder.upsamples.{n}.residual.2.weight" for n in (0, 1, 2, 4, 5, 6)] + [
        "decoder.upsamples.3.time_conv.weight",
        "decoder.upsamples.4.shortcut.bias",
    ]
    table = vae_names(names)
    assert table["decoder.upsamples.5.residual.2.weight"] == "decoder.up_blocks.1.resnets.1.conv1.weight"
    assert table["decoder.upsamples.3.time_conv.weight"] == "decoder.up_blocks.0.upsamplers.0.time_conv.weight"
    assert table["decoder.upsamples.4.shortcut.bias"] == "decoder.up_blocks.1.resnets.0.conv_shortcut.bias"
