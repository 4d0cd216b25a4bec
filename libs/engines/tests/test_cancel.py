"""A cancel stops at the next step or frame group, and the engine is as good as new afterwards."""

import pytest

torch = pytest.importorskip("torch", reason="needs the lane environment")

from warmlane_contracts.messages import Stage
from warmlane_lanekit.engine import GenerationCancelled, StepProgress

PICTURE = [("reference", "red", None)]


@pytest.fixture(params=["anisora", "phr00t"])
def engine(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("stage", "step"), [(Stage.DENOISING, 2), (Stage.DECODING, 0)])
def test_after_a_cancel_the_next_clip_is_as_if_nothing_had_happened(engine, make, stage: Stage, step: int) -> None:
    before = make(engine, "i2v", PICTURE)
    seen: list[StepProgress] = []

    def now() -> bool:
        return any(at.stage is stage and at.step == step for at in seen)

    with pytest.raises(GenerationCancelled):
        make(engine, "i2v", PICTURE, progress=seen.append, cancelled=now)
    assert (seen[-1].stage, seen[-1].step) == (stage, step)
    assert held_by_the_vae(engine) == 0
    assert engine._pipeline.scheduler.predicted is None
    assert make(engine, "i2v", PICTURE).clip.read_bytes() == before.clip.read_bytes()


def held_by_the_vae(engine) -> int:
    vae = engine._pipeline.vae
    cached = [*(vae._feat_map or []), *(vae._enc_feat_map or [])]
    return sum(tensor.numel() for tensor in cached if torch.is_tensor(tensor))
