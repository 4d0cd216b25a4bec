"""A picture of the clip while it is still latents: a linear map from latent channels to colours.

The map is fitted once, when a model is loaded, from the model's own VAE: pictures of known colours are encoded, and
least squares finds the map (docs/adr/0009). A preview then costs a matrix product, not a decode.
"""

import os
from pathlib import Path

import torch
from PIL import Image

_SIDE = 64
_LONGEST = 256


class LatentPreview:
    """The fitted map of one VAE."""

    def __init__(self, vae: torch.nn.Module) -> None:
        """Fit the map; takes a fraction of a second."""
        config = vae.config
        self._mean = torch.tensor(config.latents_mean).view(1, -1, 1, 1, 1)
        self._std = torch.tensor(config.latents_std).view(1, -1, 1, 1, 1)
        pictures = _pictures()
        with torch.no_grad():
            weights = next(vae.parameters())
            latents = torch.cat(
                [
                    vae.encode(picture[None, :, None].to(weights.device, weights.dtype))
                    .latent_dist.mode()
                    .float()
                    .cpu()
                    for picture in pictures
                ]
            )
        latents = ((latents - self._mean) / self._std)[:, :, 0]
        size = latents.shape[-2:]
        colours = torch.nn.functional.interpolate(pictures, size=size, mode="area")
        inputs = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
        self._map = torch.linalg.lstsq(inputs, colours.permute(0, 2, 3, 1).reshape(-1, 3)).solution

    def picture(self, latents: torch.Tensor) -> Image.Image:
        """Return the middle frame of normalised latents (1, channels, frames, height, width)."""
        frame = latents[0, :, latents.shape[2] // 2].float().cpu()
        channels, height, width = frame.shape
        flat = torch.cat([frame.reshape(channels, -1).T, torch.ones(height * width, 1)], dim=1)
        rgb = ((flat @ self._map).clamp(-1, 1) + 1) * 127.5
        small = Image.fromarray(rgb.reshape(height, width, 3).round().to(torch.uint8).numpy())
        scale = _LONGEST / max(small.size)
        return small.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)

    def write(self, latents: torch.Tensor, path: Path) -> Path:
        """Write the picture to `path`, replacing the last one in one move, and return the path."""
        part = path.with_suffix(".part")
        self.picture(latents).save(part, "WEBP", quality=70, method=0)
        os.replace(part, path)  # noqa: PTH105 - the one call whose promise is meant
        return path


def _pictures() -> torch.Tensor:
    """Return pictures (n, 3, side, side) in -1 to 1 whose colours span the cube, flat and in gradients."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.cartesian_prod(*[torch.tensor([-0.9, 0.0, 0.9])] * 3)
    flat = corners.view(-1, 3, 1, 1).expand(-1, 3, _SIDE, _SIDE)
    coarse = torch.rand(12, 3, 4, 4, generator=generator) * 2 - 1
    smooth = torch.nn.functional.interpolate(coarse, size=(_SIDE, _SIDE), mode="bicubic").clamp(-1, 1)
    return torch.cat([flat, smooth])
