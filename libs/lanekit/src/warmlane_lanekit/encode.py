"""From frames to a file people can play: H.264 in mp4, VP9 in webm, or gif; and a poster.

The same frames give the same bytes on one machine: the encoders run with fixed threads and write no dates. mp4 has its
index in front, so that a browser plays it while it loads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from warmlane_contracts.messages import OutputFormat

_POSTER = 512
_GIF_COLOURS = 128


@dataclass(frozen=True, slots=True)
class Clip:
    """An encoded clip and its poster."""

    path: Path
    preview: Path
    content_type: str
    width: int
    height: int
    frames: int


@dataclass(frozen=True, slots=True)
class _Video:
    codec: str
    container: dict[str, str]
    options: dict[str, str]


_VIDEOS: dict[str, _Video] = {
    # Without macroblock trees: x264's vectorised pass over them gave the same pictures other bytes in one clip of forty.
    "mp4": _Video(
        "libx264", {"movflags": "+faststart"}, {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"}
    ),
    "webm": _Video("libvpx-vp9", {}, {"deadline": "realtime", "cpu-used": "6", "crf": "30", "b": "0", "row-mt": "0"}),
}
_CONTENT_TYPES: dict[OutputFormat, str] = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif"}


def encode_clip(frames: NDArray[np.uint8], folder: Path, *, fps: int, output_format: OutputFormat) -> Clip:
    """Write `clip.<format>` and `preview.webp` into `folder`.

    `frames` is (n, height, width, 3), RGB, n at least 1. Odd sizes are refused with `ValueError`: 4:2:0 has none.
    """
    count, height, width, _ = frames.shape
    if output_format != "gif" and (height % 2 or width % 2):
        raise ValueError(f"{width} x {height} cannot be encoded as {output_format}: sides must be even")
    path = folder / f"clip.{output_format}"
    if output_format == "gif":
        _write_gif(frames, path, fps)
    else:
        _write_video(frames, path, fps, _VIDEOS[output_format])
    preview = _write_poster(frames[count // 2], folder / "preview.webp")
    return Clip(path, preview, _CONTENT_TYPES[output_format], width, height, count)


def _write_video(frames: NDArray[np.uint8], path: Path, fps: int, video: _Video) -> None:
    with av.open(str(path), "w", format=path.suffix[1:], options=video.container) as container:
        # Muxers write a random id and the library's version unless told not to.
        container.flags |= av.container.Flags.bitexact.value  # type: ignore[operator]  # the stubs say Flags, it takes an int
        stream: Any = container.add_stream(video.codec, rate=fps, options=video.options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 2
        stream.codec_context.flags |= av.codec.context.Flags.bitexact.value
        for frame in frames:
            # Converted here: left to the stream, the same frames gave other bytes in every tenth clip.
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _write_gif(frames: NDArray[np.uint8], path: Path, fps: int) -> None:
    """One palette for the whole clip, from frames spread over it, so that colours do not flicker."""
    sample = np.concatenate(frames[:: max(1, len(frames) // 8)])
    palette = Image.fromarray(sample).quantize(_GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames
    ]
    # GIF counts in hundredths; players slow anything faster than 2.
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=max(20, round(100 / fps) * 10), loop=0, disposal=1
    )


def _write_poster(frame: NDArray[np.uint8], path: Path) -> Path:
    picture = Image.fromarray(frame)
    picture.thumbnail((_POSTER, _POSTER))
    picture.save(path, "WEBP", quality=80, method=2)
    return path
