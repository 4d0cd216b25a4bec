"""The tiny models themselves: the real classes, narrow and shallow, with random weights that are always the same.

See `tiny` for how and where they are written.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.pipelines.wan.pipeline_wan_vace import WanVACEPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from diffusers.utils import logging as diffusers_logging
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel
from transformers.utils import logging as transformers_logging

_WIDTH = 32
_LOUDER = 4.0
_LIVELIER = 1.7
_DIT: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "out_channels": 16,
    "text_dim": _WIDTH,
    "freq_dim": 32,
    "ffn_dim": 32,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 128,  # 1280 pixels are 80 patches
}


def build_anisora() -> DiffusionPipeline:
    """Return AniSora's layout: two experts with 36 input channels, no image encoder."""
    tokenizer, text_encoder = _text()
    return WanImageToVideoPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=_vae(),
        scheduler=_scheduler(5.0),
        transformer=_seeded(2, lambda: WanTransformer3DModel(**_DIT, in_channels=36, num_layers=2)),
        transformer_2=_seeded(3, lambda: WanTransformer3DModel(**_DIT, in_channels=36, num_layers=2)),
        image_encoder=None,
        image_processor=None,
        boundary_ratio=0.9,
    )


def build_phr00t() -> DiffusionPipeline:
    """Return Phr00t MEGA's layout: one VACE transformer."""
    tokenizer, text_encoder = _text()
    transformer = _seeded(
        2,
        lambda: WanVACETransformer3DModel(
            **_DIT, in_channels=16, num_layers=3, vace_layers=[0, 2], vace_in_channels=96
        ),
    )
    _amplify(transformer.vace_patch_embedding, _LOUDER)
    return WanVACEPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=_vae(),
        scheduler=_scheduler(8.0),
        transformer=transformer,
    )


BUILDERS: dict[str, Callable[[], DiffusionPipeline]] = {"anisora": build_anisora, "phr00t": build_phr00t}


def save(name: str, folder: Path) -> None:
    """Build the tiny model `name` and write it into `folder`."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    BUILDERS[name]().save_pretrained(folder)


def _seeded(seed: int, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - a module of whatever class
    torch.manual_seed(seed)
    return make().eval()


def _text() -> tuple[PreTrainedTokenizerFast, UMT5EncoderModel]:
    """Return a tokenizer that knows every byte, and a one-layer encoder for it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *alphabet])}
    bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))  # noqa: S106 - a token of text
    bytes_only.normalizer = normalizers.NFKC()
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    bytes_only.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        pad_token="<pad>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        model_max_length=512,
    )
    config = UMT5Config(
        vocab_size=len(vocabulary),
        d_model=_WIDTH,
        d_kv=_WIDTH // 4,
        d_ff=_WIDTH * 2,
        num_layers=1,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    return tokenizer, _seeded(0, lambda: UMT5EncoderModel(config))


def _vae() -> AutoencoderKLWan:
    vae: AutoencoderKLWan = _seeded(
        1,
        lambda: AutoencoderKLWan(
            base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
    )
    _amplify(vae.encoder, _LOUDER)
    _amplify(vae.decoder, _LIVELIER)
    return vae


def _amplify(module: torch.nn.Module, factor: float) -> None:
    """Make convolutions louder. Through layers this narrow a picture fades with the usual start, the last frame's most:
    every conditioning image must show in the clip, or tests of conditioning would prove nothing, and a clip should
    have something in it to see.
    """
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, (torch.nn.Conv2d, torch.nn.Conv3d)):
                part.weight.mul_(factor)


def _scheduler(shift: float) -> UniPCMultistepScheduler:
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift
    )
