"""A parked model is off the device and comes back as it was."""

import pytest
from warmlane_contracts.catalogue import load_catalogue
from warmlane_engines.phr00t import Phr00tEngine
from warmlane_lanekit.meter import SimulatedMeter

torch = pytest.importorskip("torch", reason="needs the lane environment")

RUNTIME = load_catalogue().model_of("phr00t").runtime


@pytest.fixture
def engine(models_root, monkeypatch) -> Phr00tEngine:
    engine = Phr00tEngine()
    engine._meter = SimulatedMeter(10**9)
    engine.load(models_root / "phr00t", RUNTIME)
    return engine


def test_the_same_clip_comes_before_and_after_parking(engine, make) -> None:
    before = make(engine, "t2v", [], seed=3).clip.read_bytes()
    held = engine.memory().allocated_bytes
    for _ in range(2):
        engine.park()
        assert engine.memory().allocated_bytes == 0
        engine.unpark()
        assert engine.memory().allocated_bytes == held
    assert make(engine, "t2v", [], seed=3).clip.read_bytes() == before
    engine.evict()
    assert engine.memory().allocated_bytes == 0


def test_parking_makes_one_copy_however_often(engine) -> None:
    engine.park()
    copy = engine._parked
    assert copy.nbytes >= engine.parkable_bytes > 0
    engine.unpark()
    engine.park()
    assert engine._parked is copy


def test_where_device_and_host_are_one_memory_there_is_nothing_to_park(phr00t) -> None:
    assert phr00t.parkable_bytes == 0
