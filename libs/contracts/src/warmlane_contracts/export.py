"""Writes the documents that are made from the contracts: AsyncAPI, the catalogue's schema, the golden messages.

    python -m warmlane_contracts.export write ROOT     writes what is missing or stale
    python -m warmlane_contracts.export verify ROOT    exits 1 and names what is stale

Golden files are the exception: one that exists is never rewritten, because it stands for bytes that old versions sent.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from warmlane_contracts.catalogue import Catalogue
from warmlane_contracts.envelope import encode
from warmlane_contracts.messages import MESSAGES, StateRecord
from warmlane_contracts.messages.event import (
    ColdStarted,
    FallbackActivated,
    FallbackEnded,
    LaneChanged,
    MemoryCleaned,
    MemoryMeasured,
    TaskProgressed,
)
from warmlane_contracts.messages.job import JobRequested
from warmlane_contracts.messages.model import ModelEnsured, ModelFailed, ModelProgressed
from warmlane_contracts.samples import samples
from warmlane_contracts.topology import TOPOLOGY, Stream

_ASYNCAPI = Path("docs/api/asyncapi.json")
_CATALOGUE_SCHEMA = Path("libs/contracts/src/warmlane_contracts/catalogue/catalogue.schema.json")
_GOLDEN = Path("libs/contracts/golden")

_CARRIES: dict[str, tuple[type, ...]] = {
    "WL_LANE": (JobRequested,),
    "WL_WAIT": (JobRequested,),
    "WL_STATE": StateRecord.__args__,
    "WL_EVENTS": (
        TaskProgressed,
        LaneChanged,
        ColdStarted,
        MemoryCleaned,
        MemoryMeasured,
        FallbackActivated,
        FallbackEnded,
        ModelProgressed,
        ModelEnsured,
        ModelFailed,
    ),
}


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each generated document: its path under the repository's root, and its text."""
    yield _ASYNCAPI, _text(asyncapi())
    yield _CATALOGUE_SCHEMA, _text(Catalogue.model_json_schema())


def golden() -> Iterator[tuple[Path, str]]:
    """Yield one golden file per message."""
    for envelope in samples():
        yield _GOLDEN / f"{envelope.type}.json", _text(json.loads(encode(envelope)))


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of all streams and their messages."""
    schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Warmlane",
            "version": "1",
            "description": "What Warmlane's services say to each other over NATS JetStream.",
        },
        "channels": {stream.name: _channel(stream) for stream in TOPOLOGY.streams},
        "operations": {
            f"publish_{stream.name}": {"action": "send", "channel": {"$ref": f"#/channels/{stream.name}"}}
            for stream in TOPOLOGY.streams
        },
        "components": {
            "messages": {
                kind: {"name": kind, "title": cls.__name__, "summary": _first_line(cls), "payload": _envelope(cls)}
                for kind, cls in MESSAGES.items()
            },
            "schemas": schemas,
        },
    }


def _channel(stream: Stream) -> dict[str, Any]:
    tokens = {"lane": "The lane.", "job": "The job id, or '-' for a fact of no job.", "kind": "The kind of fact."}
    address = {
        "WL_LANE": "wl.v1.lane.{lane}.{job}",
        "WL_WAIT": "wl.v1.wait.{lane}.{job}",
        "WL_STATE": "wl.v1.state.{lane}.{job}",
        "WL_EVENTS": "wl.v1.event.{lane}.{kind}.{job}",
    }[stream.name]
    return {
        "address": address,
        "title": stream.name,
        "description": stream.purpose,
        "parameters": {name: {"description": text} for name, text in tokens.items() if f"{{{name}}}" in address},
        "messages": {cls.TYPE: {"$ref": f"#/components/messages/{cls.TYPE}"} for cls in _CARRIES[stream.name]},  # type: ignore[attr-defined]  # message classes
    }


def _envelope(cls: type) -> dict[str, Any]:
    return {
        "allOf": [
            {"$ref": "#/components/schemas/Envelope"},
            {
                "type": "object",
                "properties": {
                    "type": {"const": cls.TYPE},  # type: ignore[attr-defined]  # a message class
                    "data": {"$ref": f"#/components/schemas/{cls.__name__}"},
                },
            },
        ]
    }


def _schemas() -> dict[str, Any]:
    _, schema = models_json_schema(
        [(cls, "serialization") for cls in MESSAGES.values()], ref_template="#/components/schemas/{model}"
    )
    text = {"type": "string"}
    envelope = {
        "type": "object",
        "description": "Who says what, when, about which subject, in which trace.",
        "required": ["id", "type", "source", "time", "subject", "data"],
        "properties": {
            "id": text,
            "type": text,
            "source": text,
            "time": {"type": "string", "format": "date-time"},
            "subject": text,
            "traceparent": text,
            "correlation_id": text,
            "causation_id": text,
            "data": {"type": "object"},
        },
    }
    return {"Envelope": envelope, **schema["$defs"]}


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().splitlines()[0]


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write(root: Path) -> None:
    """Write every generated document, and golden files for messages that have none yet."""
    for path, text in (*documents(), *((path, text) for path, text in golden() if not (root / path).exists())):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")


def stale(root: Path) -> list[Path]:
    """Return the generated documents that differ from the contracts, and golden files that are missing."""
    old = [path for path, text in documents() if not (root / path).exists() or (root / path).read_text("utf-8") != text]
    return old + [path for path, _ in golden() if not (root / path).exists()]


def main(arguments: list[str]) -> int:
    """Run `write ROOT` or `verify ROOT`."""
    match arguments:
        case ["write", root]:
            write(Path(root))
            return 0
        case ["verify", root]:
            found = stale(Path(root))
            for path in found:
                print(f"{path} is stale: run 'make generate' and commit the result.", file=sys.stderr)  # noqa: T201 - a command's answer
            return 1 if found else 0
        case _:
            print("usage: python -m warmlane_contracts.export write|verify ROOT", file=sys.stderr)  # noqa: T201
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
