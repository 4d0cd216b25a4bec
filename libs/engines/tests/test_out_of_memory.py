"""A device that is full at any stage: the clip fails with its code, the engine goes on, and nothing is left taken."""

import pytest
from warmlane_contracts.errors import ErrorCode
from warmlane_lanekit.engine import EngineFault
from warmlane_lanekit.meter import SimulatedMeter

BIG = 10**12


@pytest.mark.parametrize("stage", ["prompt", "denoise", "decode", "encode"])
def test_running_out_at_a_stage_costs_that_clip_only(phr00t, make, stage, monkeypatch) -> None:
    meter = SimulatedMeter(BIG, refuse=stage)
    monkeypatch.setattr(phr00t, "_meter", meter)
    with pytest.raises(EngineFault) as refused:
        make(phr00t, "t2v", [], prompt=f"out of memory while {stage}")
    assert refused.value.code is ErrorCode.GPU_OUT_OF_MEMORY
    assert meter.read().allocated_bytes == 0, "a failed clip held its memory"
    report = make(phr00t, "t2v", [], prompt=f"out of memory while {stage}")
    assert report.frames == 9
    assert meter.read().allocated_bytes == 0


def test_peaks_of_the_two_heavy_stages_are_told_apart(phr00t, make, monkeypatch) -> None:
    monkeypatch.setattr(phr00t, "_meter", SimulatedMeter(BIG))
    small, wide = make(phr00t, "t2v", []), make(phr00t, "t2v", [], width=128)
    longer = make(phr00t, "t2v", [], num_frames=17)
    assert wide.denoise_peak_bytes == 2 * small.denoise_peak_bytes
    assert wide.decode_peak_bytes == 2 * small.decode_peak_bytes
    assert longer.denoise_peak_bytes > small.denoise_peak_bytes
    assert longer.decode_peak_bytes == small.decode_peak_bytes, "the VAE decodes group by group"


def test_a_repeated_prompt_is_not_encoded_again(phr00t, make) -> None:
    encoded = []
    hook = phr00t._pipeline.text_encoder.register_forward_hook(lambda *_: encoded.append(1))
    try:
        first = make(phr00t, "t2v", [], prompt="a prompt nobody had before", seed=5)
        once = len(encoded)
        again = make(phr00t, "t2v", [], prompt="a prompt nobody had before", seed=5)
        assert once > 0
        assert len(encoded) == once, "the text encoder ran again"
        assert first.clip.read_bytes() == again.clip.read_bytes()
        make(phr00t, "t2v", [], prompt="another prompt nobody had before", seed=5)
        assert len(encoded) == 2 * once
    finally:
        hook.remove()
