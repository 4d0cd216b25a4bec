"""Equality with diffusers and torch: what the store makes of a file is what loading it the slow way gives, bit for bit.

Tiny random models of the real classes are saved in the layouts of AniSora (original Wan, sharded) and Phr00t MEGA (all in
one, fp8_scaled), converted by the store, loaded with from_pretrained and compared. Runs where torch and diffusers are.
"""

import json

import pytest
from builders import hub_source, model, put, store

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from safetensors.torch import save
from warmlane_modelstore.convert.names import transformer_name, vae_names

KEEP = ["time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"]
DIT = {
    "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "out_channels": 16, "text_dim": 32,
    "freq_dim": 32, "ffn_dim": 32, "num_layers": 3, "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 64,
}  # fmt: skip
_BACK = [
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"), ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"), ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"), ("attn2", "cross_attn"), ("attn1", "self_attn"), (".to_out.0.", ".o."),
    (".to_q.", ".q."), (".to_k.", ".k."), (".to_v.", ".v."), ("ffn.net.0.proj", "ffn.0"), ("ffn.net.2", "ffn.2"),
]  # fmt: skip


def original_name(name: str) -> str:
    if name.startswith("vace_blocks.") and (".proj_in." in name or ".proj_out." in name):
        return name.replace(".proj_in.", ".before_proj.").replace(".proj_out.", ".after_proj.")
    for theirs, ours in _BACK:
        name = name.replace(theirs, ours)
    if name == "scale_shift_table":
        return "head.modulation"
    name = name.replace("scale_shift_table", "modulation").replace(".norm2.", ".norm3.")
    return name.replace("proj_out", "head.head")


def transformer(seed, in_channels, cls=None, **extra):
    torch.manual_seed(seed)
    return (cls or diffusers.WanTransformer3DModel)(in_channels=in_channels, **DIT, **extra).eval()


def expected(state):
    """What bf16 on disk must hold: everything rounded, but for what upstream keeps in fp32."""
    return {n: t if set(KEEP) & set(n.split(".")) else t.to(torch.bfloat16) for n, t in state.items()}


def put_config(root, name, module):
    config = {"_class_name": type(module).__name__, **{k: v for k, v in module.config.items() if not k.startswith("_")}}
    put(root, f"{name}/config.json", json.dumps(config).encode())


def assert_same(loaded, want):
    got = loaded.state_dict()
    assert set(got) == set(want)
    for name, tensor in want.items():
        assert torch.equal(got[name].float(), tensor.float()), name


REST = ("vae/w.json", "text_encoder/w.json", "tokenizer/t.json", "scheduler/s.json", "model_index.json")


def test_anisora_as_the_store_converts_it_equals_the_model_it_was_made_from(hub, models_root):
    experts = {"high_noise_model": transformer(2, 36), "low_noise_model": transformer(3, 36)}
    base, lender = hub.root / "org/anisora", hub.root / "org/wan"
    for (folder, module), name in zip(experts.items(), ("transformer", "transformer_2"), strict=True):
        state = {original_name(n): t.clone() for n, t in module.state_dict().items()}
        names = sorted(state)
        index = {}
        for i, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
            file = f"diffusion_pytorch_model-{i:05d}-of-00002.safetensors"
            put(base, f"{folder}/{file}", save({n: state[n] for n in part}))
            index |= dict.fromkeys(part, file)
        put(
            base, f"{folder}/diffusion_pytorch_model.safetensors.index.json", json.dumps({"weight_map": index}).encode()
        )
        put_config(lender, name, module)
    for path in REST:
        put(lender, path, b"{}")
    made = store(
        models_root,
        model("wan", type="i2v", sources=[hub_source(hub, "org/wan", allow=["*"])]),
        model(
            "anisora", type="i2v", layout="wan-original", sources=[hub_source(hub, "org/anisora", allow=["*_noise_model/*"])],
            variant={"dtype_on_disk": "fp32", "convert": "bf16", "keep_fp32": KEEP}, components={"required": ["transformer_2"]},
            borrow=[{"model": "wan", "paths": [*(p.split("/")[0] + ("/*" if "/" in p else "") for p in REST), "transformer*/config.json"]}],
        ),
    )  # fmt: skip
    made.ensure("anisora")
    path = made.status("anisora").path
    for module, name in zip(experts.values(), ("transformer", "transformer_2"), strict=True):
        loaded = diffusers.WanTransformer3DModel.from_pretrained(path, subfolder=name, torch_dtype=torch.float32)
        assert not [n for n, p in loaded.named_parameters() if p.device.type == "meta"]
        assert_same(loaded, expected(module.state_dict()))


@pytest.mark.parametrize("scaled", [False, True])
def test_phr00t_mega_as_the_store_converts_it_equals_torchs_own_dequantisation(hub, models_root, scaled):
    module = transformer(2, 16, diffusers.WanVACETransformer3DModel, vace_layers=[0, 2], vace_in_channels=96)
    aio, want = {}, {}
    for name, tensor in module.state_dict().items():
        key = f"model.diffusion_model.{original_name(name)}"
        if tensor.ndim == 2 and "blocks." in name:
            scale = (tensor.abs().max() / 448).reshape(1).float() if scaled else torch.ones(1)
            aio[key] = (tensor / scale).to(torch.float8_e4m3fn)
            if scaled:
                aio[key.replace(".weight", ".scale_weight")] = scale
            want[name] = (aio[key].float() * scale).to(torch.bfloat16)
        else:
            aio[key] = tensor.clone()
            want[name] = expected({name: tensor})[name]
    if scaled:
        aio["model.diffusion_model.scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
    entry = put(hub.root / "org/aio", "mega.safetensors", save(aio))
    lender = hub.root / "org/wan"
    put_config(lender, "transformer", module)
    for path in REST:
        put(lender, path, b"{}")
    made = store(
        models_root,
        model("wan", type="vace", sources=[hub_source(hub, "org/wan", allow=["*"])]),
        model(
            "mega", type="vace", layout="aio", files=[entry], sources=[hub_source(hub, "org/aio")],
            variant={"dtype_on_disk": "fp8", "convert": "bf16", "keep_fp32": KEEP}, borrow=[{"model": "wan", "paths": ["*"]}],
        ),
    )  # fmt: skip
    made.ensure("mega")
    loaded = diffusers.WanVACETransformer3DModel.from_pretrained(
        made.status("mega").path, subfolder="transformer", torch_dtype=torch.float32
    )
    assert_same(loaded, want)


def test_our_names_are_diffusers_own_for_every_wan_transformer():
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    modules = [
        transformer(1, 36, image_dim=32, added_kv_proj_dim=24),
        transformer(1, 16, diffusers.WanVACETransformer3DModel, vace_layers=[0, 2], vace_in_channels=96),
    ]
    extra = [f"img_emb.proj.{i}.{kind}" for i in (0, 1, 3, 4) for kind in ("weight", "bias")]
    for module in modules:
        originals = [original_name(n) for n in module.state_dict()]
        originals = [n for n in originals if "image_embedder" not in n and "add_" not in n] + extra
        originals += ["blocks.0.cross_attn.k_img.weight", "blocks.0.cross_attn.norm_k_img.weight"]
        # Values that know their name tell where each one went.
        theirs = convert_wan_transformer_to_diffusers({n: n for n in originals if not _is_tensor_only(n)})
        assert {old: new for new, old in theirs.items()} == {n: transformer_name(n) for n in theirs.values()}


def _is_tensor_only(name):
    return "motion_encoder" in name


def test_our_vae_names_are_diffusers_own():
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    originals = ["conv1.weight", "conv2.bias", "encoder.conv1.weight", "decoder.conv1.bias"]
    for side in ("encoder", "decoder"):
        originals += [
            f"{side}.head.0.gamma",
            f"{side}.head.2.weight",
            f"{side}.middle.1.to_qkv.weight",
            f"{side}.middle.1.norm.gamma",
        ]
        originals += [
            f"{side}.middle.{m}.residual.{r}" for m in (0, 2) for r in ("0.gamma", "2.weight", "3.gamma", "6.bias")
        ]
    originals += [f"encoder.downsamples.{n}.residual.{r}" for n in (0, 3) for r in ("0.gamma", "2.weight", "6.weight")]
    originals += [
        "encoder.downsamples.3.shortcut.weight",
        "encoder.downsamples.2.resample.1.weight",
        "encoder.downsamples.5.time_conv.bias",
    ]
    originals += [f"decoder.upsamples.{n}.residual.2.weight" for n in (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14)]
    originals += [
        "decoder.upsamples.4.shortcut.weight",
        "decoder.upsamples.3.resample.1.weight",
        "decoder.upsamples.3.time_conv.weight",
    ]
    originals += ["decoder.upsamples.7.time_conv.bias", "decoder.upsamples.11.resample.1.bias"]
    theirs = convert_wan_vae_to_diffusers({n: n for n in originals})
    assert {old: new for new, old in theirs.items()} == vae_names(originals)
