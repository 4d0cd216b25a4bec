"""How much GPU memory a request would take, from the manifest's figures: a first answer before anything was measured.

    peak ≈ overhead + weights resident + max(activations while denoising, working memory of the VAE decode)

    activations   tokens x bytes per token; a token is 2x2 latent pixels of 8x8 image pixels, 4 frames each
    VAE decode    width x height x element size x a constant (6500 for z16, 7000 for z48, 2900 for one frame), as InvokeAI
                  measured it

Lanes calibrate and trust their own measurements (`warmlane calibrate`); this is for planning a purchase or a smoke.
"""

from dataclasses import dataclass

from warmlane_modelstore.manifest.entries import Model, Variant

_VAE_SPATIAL = 8
_PATCH = 2
_VAE_TEMPORAL = 4
_BF16 = 2


@dataclass(frozen=True, slots=True)
class Size:
    """What is to be made, in pixels and frames."""

    width: int
    height: int
    frames: int


def estimate(model: Model, variant: Variant, size: Size) -> int | None:
    """Bytes at the peak; None when the manifest does not know the weights."""
    if variant.weights_bytes is None:
        return None
    vram = model.vram
    latent_frames = (size.frames - 1) // _VAE_TEMPORAL + 1
    patch = _VAE_SPATIAL * _PATCH
    tokens = latent_frames * -(-size.width // patch) * -(-size.height // patch)
    denoising = tokens * vram.activation_bytes_per_token
    decoding = size.width * size.height * _BF16 * vram.vae_decode_bytes_per_pixel
    return vram.overhead_bytes + variant.weights_bytes + max(denoising, decoding)
