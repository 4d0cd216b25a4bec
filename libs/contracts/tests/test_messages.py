"""Messages keep their shape: golden files parse for ever, unknown things are refused, generated documents are fresh."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from warmlane_contracts import export
from warmlane_contracts.envelope import UnknownMessageError, decode, encode
from warmlane_contracts.messages import MESSAGES, Claimed
from warmlane_contracts.samples import samples
from warmlane_contracts.topology import TOPOLOGY

ROOT = Path(__file__).parents[3]
GOLDEN = sorted((ROOT / "libs/contracts/golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_message_still_parses_and_loses_nothing(path: Path) -> None:
    raw = json.loads(path.read_text("utf-8"))
    envelope = decode(json.dumps(raw).encode())
    assert type(envelope.data) is MESSAGES[raw["type"]]
    written = json.loads(encode(envelope))
    assert written["data"].items() >= {k: v for k, v in raw["data"].items() if v is not None}.items()
    assert {**raw, "data": None} == {**written, "data": None}


def test_every_message_has_a_golden_file() -> None:
    assert {path.stem for path in GOLDEN} == set(MESSAGES)


def test_every_message_has_a_sample_that_survives_the_wire() -> None:
    seen = set()
    for envelope in samples():
        assert decode(encode(envelope)).data == envelope.data
        seen.add(envelope.type)
    assert seen == set(MESSAGES)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b'{"type": "warmlane.v9.state.claimed", "data": {}}',
        b'{"type": "warmlane.v1.state.claimed", "data": {}}',
    ],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(UnknownMessageError):
        decode(raw)


def test_a_message_refuses_fields_it_does_not_know_and_never_changes() -> None:
    fields = {"task_id": "t", "job_id": "t-1", "lane": "anisora", "record_id": "r", "worker": "w", "attempt": 1}
    with pytest.raises(ValidationError):
        Claimed(**fields, colour="red")
    claimed = Claimed(**fields)
    with pytest.raises(ValidationError):
        claimed.attempt = 2  # type: ignore[misc]  # the point of the test


def test_generated_documents_are_fresh() -> None:
    assert export.stale(ROOT) == []


def test_a_stale_document_is_named(tmp_path: Path) -> None:
    export.write(tmp_path)
    assert export.stale(tmp_path) == []
    document = tmp_path / "docs/api/asyncapi.json"
    document.write_text(document.read_text("utf-8") + " ", "utf-8")
    assert export.stale(tmp_path) == [Path("docs/api/asyncapi.json")]


def test_every_stream_is_described_with_its_messages() -> None:
    channels = export.asyncapi()["channels"]
    assert set(channels) == {stream.name for stream in TOPOLOGY.streams}
    carried = {kind for channel in channels.values() for kind in channel["messages"]}
    assert carried == set(MESSAGES)
