"""Tensor names: how original Wan and ComfyUI files call what diffusers calls otherwise. Pure.

The pairs are facts about the two code bases (`Wan2.2/wan/modules/model.py`, `diffusers/models/transformers/
transformer_wan.py`); tests hold them against what diffusers itself makes of an original file.
"""

import re

# In this order: a later pair may match what an earlier one wrote (`head.modulation` before `modulation`).
_TRANSFORMER = (
    ("time_embedding.0", "condition_embedder.time_embedder.linear_1"),
    ("time_embedding.2", "condition_embedder.time_embedder.linear_2"),
    ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
    ("text_embedding.2", "condition_embedder.text_embedder.linear_2"),
    ("time_projection.1", "condition_embedder.time_proj"),
    ("cross_attn", "attn2"),
    ("self_attn", "attn1"),
    (".o.", ".to_out.0."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".k_img.", ".add_k_proj."),
    (".v_img.", ".add_v_proj."),
    (".norm_k_img.", ".norm_added_k."),
    ("head.modulation", "scale_shift_table"),
    ("head.head", "proj_out"),
    ("modulation", "scale_shift_table"),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
    ("img_emb.proj.0", "condition_embedder.image_embedder.norm1"),
    ("img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"),
    ("img_emb.proj.4", "condition_embedder.image_embedder.norm2"),
    ("before_proj", "proj_in"),
    ("after_proj", "proj_out"),
)
# The second and third norm of a block are called the other way round.
_SWAPPED = {"norm2": "norm3", "norm3": "norm2"}
_BLOCK_NORM = re.compile(r"(^|\.)(norm[23])(?=\.)")


def transformer_name(original: str) -> str:
    """The diffusers name of a tensor of an original Wan or VACE transformer."""
    name = original
    for ours, theirs in _TRANSFORMER[:19]:
        name = name.replace(ours, theirs)
    # Before the image embedder, whose own norm2 keeps its name.
    name = _BLOCK_NORM.sub(lambda match: match[1] + _SWAPPED[match[2]], name)
    for ours, theirs in _TRANSFORMER[19:]:
        name = name.replace(ours, theirs)
    return name


_VAE_TOP = {
    "conv1": "quant_conv",
    "conv2": "post_quant_conv",
    "encoder.conv1": "encoder.conv_in",
    "decoder.conv1": "decoder.conv_in",
    "encoder.head.0": "encoder.norm_out",
    "encoder.head.2": "encoder.conv_out",
    "decoder.head.0": "decoder.norm_out",
    "decoder.head.2": "decoder.conv_out",
}
_RESIDUAL = {"0": "norm1", "2": "conv1", "3": "norm2", "6": "conv2"}
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}
_VAE_MIDDLE = re.compile(r"(encoder|decoder)\.middle\.([012])\.(.+)")
_VAE_DOWN = re.compile(r"encoder\.downsamples\.(\d+)\.(.+)")
_VAE_UP = re.compile(r"decoder\.upsamples\.(\d+)\.(.+)")
_INNER = re.compile(r"residual\.([0236])\.(.+)")


def vae_names(originals: list[str]) -> dict[str, str]:
    """Diffusers names of all tensors of an original Wan 2.1 VAE; needs them all, to see how its decoder is stacked."""
    ups = [match for match in map(_VAE_UP.fullmatch, originals) if match]
    # Each level of the decoder is some residual blocks and then one upsampler, all numbered in one row.
    samplers = [int(match[1]) for match in ups if match[2].startswith(("resample.", "time_conv."))]
    stride = min(samplers) + 1 if samplers else len({match[1] for match in ups}) + 1
    return {name: _vae_name(name, stride) for name in originals}


def _vae_name(name: str, stride: int) -> str:
    head, _, last = name.rpartition(".")
    if head in _VAE_TOP:
        return f"{_VAE_TOP[head]}.{last}"
    middle = _VAE_MIDDLE.fullmatch(name)
    if middle:
        return f"{middle[1]}.mid_block.{_MIDDLE[middle[2]]}.{_inner(middle[3])}"
    down = _VAE_DOWN.fullmatch(name)
    if down:
        return f"encoder.down_blocks.{down[1]}.{_inner(down[2])}"
    up = _VAE_UP.fullmatch(name)
    if up:
        level, place = divmod(int(up[1]), stride)
        part = "upsamplers.0" if place == stride - 1 else f"resnets.{place}"
        return f"decoder.up_blocks.{level}.{part}.{_inner(up[2])}"
    return name


def _inner(name: str) -> str:
    residual = _INNER.fullmatch(name)
    if residual:
        return f"{_RESIDUAL[residual[1]]}.{residual[2]}"
    return name.replace("shortcut.", "conv_shortcut.", 1) if name.startswith("shortcut.") else name
