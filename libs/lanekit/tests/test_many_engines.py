"""One model on the device at a time; the others parked on the host as far as it has room."""

from pathlib import Path
from typing import Any

import pytest
from warmlane_contracts.catalogue import load_catalogue
from warmlane_lanekit.engine import EngineFault, LoadReport, MemoryReading
from warmlane_lanekit.many_engines import SWAP, ManyEngines

RUNTIME = load_catalogue().model_of("phr00t").runtime


class Parking:
    """An engine that notes what happens to it."""

    made: list["Parking"] = []  # noqa: RUF012 - reset by the fixture

    def __init__(self) -> None:
        self.acts: list[str] = []
        Parking.made.append(self)

    @property
    def parkable_bytes(self) -> int:
        return 100

    def load(self, model_dir: Path, runtime: Any) -> LoadReport:
        self.acts.append(f"load {model_dir.name}")
        return LoadReport(seconds=9, parameters=1, weights_bytes=100)

    def evict(self) -> None:
        self.acts.append("evict")

    def park(self) -> None:
        self.acts.append("park")

    def unpark(self) -> LoadReport:
        self.acts.append("unpark")
        return LoadReport(seconds=1, parameters=1, weights_bytes=100)

    def memory(self) -> MemoryReading:
        return MemoryReading(rss_bytes=1)

    def generate(self, spec: Any, *, progress: Any, cancelled: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(SWAP, "200")
    Parking.made = []
    return ManyEngines({RUNTIME.engine: Parking})


def acts() -> list[list[str]]:
    return [engine.acts for engine in Parking.made[1:]]  # the first reads the idle memory


def switch(many: Any, *names: str) -> None:
    for name in names:
        many.evict()
        many.load(Path(name), RUNTIME)


def test_a_second_model_beside_the_first_is_refused(many) -> None:
    many.load(Path("a"), RUNTIME)
    with pytest.raises(EngineFault, match="evict it first"):
        many.load(Path("b"), RUNTIME)


def test_a_parked_model_comes_back_without_a_load(many) -> None:
    switch(many, "a", "b", "a")
    assert acts() == [["load a", "park", "unpark"], ["load b", "park"]]


def test_the_first_parked_makes_room_when_the_host_is_full(many) -> None:
    switch(many, "a", "b", "c", "d", "a")
    assert acts() == [
        ["load a", "park", "evict"],
        ["load b", "park", "evict"],
        ["load c", "park"],
        ["load d", "park"],
        ["load a"],
    ]


def test_without_room_on_the_host_models_are_released(monkeypatch) -> None:
    monkeypatch.setenv(SWAP, "0")
    Parking.made = []
    switch(ManyEngines({RUNTIME.engine: Parking}), "a", "b", "a")
    assert acts() == [["load a", "evict"], ["load b", "evict"], ["load a"]]


def test_evicting_nothing_is_fine(many) -> None:
    many.evict()
    many.evict()
    assert acts() == []
