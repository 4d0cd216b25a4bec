"""Both engines make what was asked for, the same every time, in every mode and format."""

from typing import Any

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the lane environment")

from warmlane_contracts.messages import Stage
from warmlane_lanekit.engine import EngineFault, StepProgress

MODES = [
    ("anisora", "i2v", [("reference", "gradient", None)]),
    ("anisora", "first_last_frame", [("first_frame", "gradient", None), ("last_frame", "red", None)]),
    ("anisora", "arbitrary_frame", [("keyframe", "gradient", 0.0), ("keyframe", "blue", 1.0)]),
    ("phr00t", "t2v", []),
    ("phr00t", "i2v", [("reference", "gradient", None)]),
    ("phr00t", "first_last_frame", [("first_frame", "gradient", None), ("last_frame", "red", None)]),
]


def frames_of(path: Any) -> np.ndarray:
    with av.open(str(path)) as clip:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]).astype(int)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("engine", "mode", "images"), MODES, indirect=["engine"])
def test_each_mode_makes_the_clip_that_was_asked_for_and_again_the_same(engine, mode, images, make) -> None:
    seen: list[StepProgress] = []
    first = make(engine, mode, images, progress=seen.append, width=80, height=64)
    assert frames_of(first.clip).shape == (9, 64, 80, 3)
    assert (first.width, first.height, first.frames, first.fps) == (80, 64, 9, 16)
    again = make(engine, mode, images, width=80, height=64)
    assert first.clip.read_bytes() == again.clip.read_bytes()
    assert first.preview.read_bytes() == again.preview.read_bytes()
    steps = engine._runtime.steps
    assert [at.stage for at in seen] == [
        Stage.ENCODING_PROMPT,
        *[Stage.DENOISING] * (steps + 1),
        Stage.DECODING,
        Stage.ENCODING,
    ]
    assert [at.step for at in seen if at.stage is Stage.DENOISING] == list(range(steps + 1))
    assert seen[2].live_preview is not None


@pytest.mark.parametrize("engine", ["anisora", "phr00t"], indirect=True)
def test_seed_and_picture_change_the_clip(engine, make) -> None:
    one = make(engine, "i2v", [("reference", "red", None)])
    other_seed = make(engine, "i2v", [("reference", "red", None)], seed=6)
    other_picture = make(engine, "i2v", [("reference", "blue", None)])
    assert len({clip.clip.read_bytes() for clip in (one, other_seed, other_picture)}) == 3


def test_the_last_frame_counts(phr00t, make) -> None:
    first = ("first_frame", "red", None)
    one = make(phr00t, "first_last_frame", [first, ("last_frame", "blue", None)])
    other = make(phr00t, "first_last_frame", [first, ("last_frame", "white", None)])
    assert one.clip.read_bytes() != other.clip.read_bytes()


def test_reference_strength_and_lighting_count(phr00t, make) -> None:
    picture = [("reference", "red", None)]
    plain = make(phr00t, "i2v", picture)
    weak = make(phr00t, "i2v", picture, reference_strength=0.1)
    dim = make(phr00t, "i2v", picture, lighting_variant="dim")
    assert len({clip.clip.read_bytes() for clip in (plain, weak, dim)}) == 3


def test_a_keyframe_is_conditioned_at_its_own_frame(anisora, spec) -> None:
    """The mask of the condition is one exactly where anchors stand: frame 0 fills the first group, 8 and 16 a quarter."""
    keyframes = [("keyframe", "red", 0.0), ("keyframe", "blue", 0.5), ("keyframe", "white", 1.0)]
    anchors = anisora._anchors(spec(anisora, "arbitrary_frame", keyframes, num_frames=17))
    assert [frame for frame, _ in anchors] == [0, 8, 16]
    pipeline = anisora._pipeline
    pipeline.anchors = anchors
    _, condition = pipeline.prepare_latents(
        torch.zeros(1, 3, 64, 64), 1, 16, 64, 64, 17, torch.float32, torch.device("cpu"), torch.Generator()
    )
    mask = condition[0, :4, :, 0, 0].T.flatten()
    assert mask.tolist() == [1, 1, 1, 1, *[0, 0, 0, 0], *[0, 0, 0, 1], *[0, 0, 0, 0], *[0, 0, 0, 1]]
    assert condition.shape == (1, 20, 5, 8, 8)


def test_anchored_first_and_last_frame_equal_the_pipelines_own(anisora, make, pictures) -> None:
    """Our conditioning of any frame, used for the first and the last, is what diffusers does for them itself."""
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
    from warmlane_engines.pictures import fitted

    pipeline = anisora._pipeline
    pictures_ = {name: fitted(pictures[name], (64, 64)) for name in ("red", "blue")}
    arguments = (1, 16, 64, 64, 9, torch.float32, torch.device("cpu"))
    tensors = {name: pipeline.video_processor.preprocess(picture, 64, 64) for name, picture in pictures_.items()}
    theirs = WanImageToVideoPipeline.prepare_latents(
        pipeline, tensors["red"], *arguments, torch.Generator().manual_seed(1), None, tensors["blue"]
    )
    pipeline.anchors = ((0, pictures_["red"]), (8, pictures_["blue"]))
    ours = pipeline.prepare_latents(tensors["red"], *arguments, torch.Generator().manual_seed(1))
    assert all(torch.allclose(mine, other, atol=1e-5) for mine, other in zip(ours, theirs, strict=True))


def test_three_steps_high_five_low(anisora, make) -> None:
    calls: list[str] = []
    pipeline = anisora._pipeline
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: calls.append(name))
        for name, module in (("high", pipeline.transformer), ("low", pipeline.transformer_2))
    ]
    make(anisora, "i2v", [("reference", "red", None)])
    for hook in hooks:
        hook.remove()
    assert calls == ["high"] * 3 + ["low"] * 5


def test_phr00t_calls_its_model_four_times(phr00t, make) -> None:
    calls: list[int] = []
    hook = phr00t._pipeline.transformer.register_forward_pre_hook(lambda *_: calls.append(1))
    make(phr00t, "t2v", [])
    hook.remove()
    assert len(calls) == 4


def test_one_expert_at_a_time_makes_the_same_clip(anisora, make, monkeypatch) -> None:
    both = make(anisora, "i2v", [("reference", "red", None)])
    moves: list[str] = []
    for name in ("transformer", "transformer_2"):
        module = getattr(anisora._pipeline, name)
        monkeypatch.setattr(module, "to", lambda device, name=name: moves.append(f"{name}>{device}"), raising=False)
    monkeypatch.setattr(anisora, "_one_expert", True)
    one = make(anisora, "i2v", [("reference", "red", None)])
    assert one.clip.read_bytes() == both.clip.read_bytes()
    assert moves == ["transformer_2>cpu", "transformer>cpu", "transformer>cpu", "transformer_2>cpu"]


@pytest.mark.parametrize(("output_format", "codec"), [("mp4", "h264"), ("webm", "vp9"), ("gif", "gif")])
def test_each_format_can_be_played(phr00t, make, output_format: str, codec: str) -> None:
    report = make(phr00t, "t2v", [], output_format=output_format)
    with av.open(str(report.clip)) as clip:
        stream = clip.streams.video[0]
        assert stream.codec_context.name == codec
        assert sum(1 for _ in clip.decode(stream)) == 9


def test_a_picture_that_cannot_be_read_is_named(phr00t, make, pictures, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    pictures["broken"] = broken
    with pytest.raises(EngineFault, match=r"broken\.png"):
        make(phr00t, "i2v", [("reference", "broken", None)])
