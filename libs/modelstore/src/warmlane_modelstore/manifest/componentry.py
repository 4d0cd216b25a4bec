"""Which components each model type must, may and must not have.

A text-to-video model with an image encoder on disk would load 1.3 GB it never uses; an image-to-video model without
its VAE fails only once the GPU is warm. Both are found here, before a GPU is touched.
"""

from dataclasses import dataclass

_DIT = ("transformer", "text_encoder", "tokenizer", "vae", "scheduler")


@dataclass(frozen=True, slots=True)
class Componentry:
    """Names of components as diffusers calls them. What is in none of the three is ignored (`assets`, `docs`)."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


TYPES: dict[str, Componentry] = {
    "t2v": Componentry(_DIT, optional=("transformer_2",), refused=("image_encoder", "image_processor")),
    "i2v": Componentry(_DIT, optional=("transformer_2", "image_encoder", "image_processor")),
    "ti2v": Componentry(_DIT, refused=("image_encoder", "image_processor", "transformer_2")),
    "vace": Componentry(_DIT, optional=("transformer_2",), refused=("image_encoder", "image_processor")),
    "t2i-sdxl": Componentry(
        ("unet", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "vae", "scheduler"),
        refused=("transformer", "image_encoder"),
    ),
    "t2i-flux": Componentry(
        ("transformer", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "vae", "scheduler"),
        refused=("unet", "image_encoder"),
    ),
    # One file holds everything and its loader knows what is inside.
    "single-file": Componentry(()),
}

# Original Wan repositories name the experts by what they denoise.
_ORIGINAL_NAMES = {"high_noise_model": "transformer", "low_noise_model": "transformer_2"}


def component_of(path: str) -> str | None:
    """The component a file belongs to by its directory, or None for a file at the top (`model_index.json`)."""
    head, separator, _ = path.partition("/")
    if not separator:
        return None
    return _ORIGINAL_NAMES.get(head, head)
