"""Evicting gives everything back, whatever happened before; and what is not given back is noticed."""

import gc
import weakref

import pytest

torch = pytest.importorskip("torch", reason="needs the lane environment")

from warmlane_contracts.catalogue import load_catalogue
from warmlane_engines.loading import modules
from warmlane_engines.phr00t import Phr00tEngine
from warmlane_lanekit.engine import EngineFault, GenerationCancelled

RUNTIME = load_catalogue().model_of("phr00t").runtime


@pytest.fixture
def engine(models_root) -> Phr00tEngine:
    engine = Phr00tEngine()
    engine.load(models_root / "phr00t", RUNTIME)
    return engine


def weights_of(engine: Phr00tEngine) -> list[weakref.ref]:
    return [weakref.ref(tensor) for module in modules(engine._pipeline).values() for tensor in module.parameters()]


def alive(weights: list[weakref.ref]) -> int:
    gc.collect()
    return sum(reference() is not None for reference in weights)


@pytest.mark.parametrize("before", ["nothing", "a clip", "a cancel", "a failure"])
def test_nothing_is_left_after_an_eviction(engine, make, before: str) -> None:
    weights = weights_of(engine)
    if before == "a clip":
        make(engine, "t2v", [])
    elif before == "a cancel":
        with pytest.raises(GenerationCancelled):
            make(engine, "t2v", [], cancelled=lambda: True)
    elif before == "a failure":
        hook = engine._pipeline.transformer.register_forward_pre_hook(fail)
        with pytest.raises(RuntimeError, match="planted"):
            make(engine, "t2v", [])
        hook.remove()
    assert alive(weights) == len(weights)
    engine.evict()
    assert alive(weights) == 0


def fail(*_: object) -> None:
    raise RuntimeError("planted")


def test_what_is_still_held_is_noticed(engine) -> None:
    held = engine._pipeline.transformer
    with pytest.raises(EngineFault, match="1 of 3 modules"):
        engine.evict()
    assert held is not None


def test_running_out_of_memory_is_its_own_fault_and_the_engine_goes_on(engine, make) -> None:
    before = make(engine, "t2v", [])

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("planted: tried to allocate 20 GiB")

    hook = engine._pipeline.vae.decoder.register_forward_pre_hook(full)
    with pytest.raises(EngineFault) as fault:
        make(engine, "t2v", [])
    hook.remove()
    assert fault.value.code == "gpu_out_of_memory"
    assert make(engine, "t2v", []).clip.read_bytes() == before.clip.read_bytes()
    engine.evict()


def test_evicting_twice_and_generating_without_a_model(engine, make) -> None:
    engine.evict()
    engine.evict()
    with pytest.raises(EngineFault, match="no model"):
        make(engine, "t2v", [])


def test_loading_again_replaces_the_model(engine, models_root, make) -> None:
    before = make(engine, "t2v", []).clip.read_bytes()
    engine.load(models_root / "phr00t", RUNTIME)
    assert make(engine, "t2v", []).clip.read_bytes() == before
    engine.evict()
