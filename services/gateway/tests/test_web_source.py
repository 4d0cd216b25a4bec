"""The console is made from the catalogue: no model, mode, bound or default stands in its source."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warmlane_contracts.catalogue import load_catalogue

SOURCE = Path(__file__).parents[1] / "web" / "src"
SHIPPED = [
    path
    for path in sorted(SOURCE.rglob("*.ts*"))
    if ".test." not in path.name and "testing" not in path.parts and path.name != "schema.d.ts"
]
SMALL = 64
"""Below it numbers are everywhere: in sizes of buttons and counts of rows."""


def words() -> Iterator[str]:
    for model in load_catalogue("production").models:
        yield from (model.id, model.title, *model.aliases)
        yield from (mode.id for mode in model.modes)
        yield from (slot.field for mode in model.modes for slot in mode.images)
        yield from (preset.id for presets in model.presets.values() for preset in presets if "_" in preset.id)


def numbers() -> Iterator[int]:
    def found(value: Any) -> Iterator[int]:
        if isinstance(value, dict):
            for one in value.values():
                yield from found(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from found(one)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > SMALL:
            yield int(value)

    for profile in ("production", "tiny"):
        for model in load_catalogue(profile).models:
            yield from found(model.model_dump(include={"parameters", "max_pixels", "presets"}))


def test_there_is_a_source_to_look_at() -> None:
    assert len(SHIPPED) > 30


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_word_and_no_number_of_the_catalogue(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [word for word in set(words()) if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)] == []
    plain = re.sub(r"(?<=\d)_(?=\d)", "", text)
    assert [number for number in set(numbers()) if re.search(rf"(?<![\w.#-]){number}(?![\w.])", plain)] == []


@pytest.mark.parametrize("path", [path for path in SHIPPED if "features" in path.parts], ids=lambda path: path.name)
def test_features_know_nothing_of_each_other(path: Path) -> None:
    assert re.findall(r'from "\.\./(?!\.\./)([\w-]+)', path.read_text("utf-8")) == []
