r"""The frames between a worker's supervisor and its engine process: one JSON object per line, each way.

    supervisor ──► Load(id) · Generate(id) · Evict(id) · Memory(id) ──► engine     one at a time, answered in order
    supervisor ──► Cancel(id)                                       ──► engine     at any time, never answered itself
    engine     ──► Ready · Progress(id)* · one of Loaded, Done, Evicted, MemoryRead, Cancelled, Failed (id)

Every command carries an id and gets exactly one final answer with that id, unless the process dies first.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from warmlane_contracts.catalogue import ModelRuntime
from warmlane_contracts.errors import ErrorCode

from warmlane_lanekit.engine import GenerateReport, GenerateSpec, LoadReport, MemoryReading, StepProgress


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Load(_Frame):
    """Load the model of a folder."""

    kind: Literal["load"] = "load"
    id: int
    model_dir: Path
    runtime: ModelRuntime


class Generate(_Frame):
    """Make a clip."""

    kind: Literal["generate"] = "generate"
    id: int
    spec: GenerateSpec


class Evict(_Frame):
    """Release the model."""

    kind: Literal["evict"] = "evict"
    id: int


class Memory(_Frame):
    """Say how much memory is in use."""

    kind: Literal["memory"] = "memory"
    id: int


class Cancel(_Frame):
    """Stop the generation with this id, if it still runs."""

    kind: Literal["cancel"] = "cancel"
    id: int


class Ready(_Frame):
    """The engine's code is imported; commands may come. `seconds` since the process began."""

    kind: Literal["ready"] = "ready"
    seconds: float


class Progress(_Frame):
    """A generation advanced."""

    kind: Literal["progress"] = "progress"
    id: int
    at: StepProgress


class Loaded(_Frame):
    """The model is resident."""

    kind: Literal["loaded"] = "loaded"
    id: int
    report: LoadReport


class Done(_Frame):
    """The clip is in the scratch folder."""

    kind: Literal["done"] = "done"
    id: int
    report: GenerateReport


class Evicted(_Frame):
    """The model is gone from memory."""

    kind: Literal["evicted"] = "evicted"
    id: int


class MemoryRead(_Frame):
    """The memory in use."""

    kind: Literal["memory_read"] = "memory_read"
    id: int
    reading: MemoryReading


class Cancelled(_Frame):
    """The generation stopped as asked."""

    kind: Literal["cancelled"] = "cancelled"
    id: int


class Failed(_Frame):
    """The command failed; the process goes on."""

    kind: Literal["failed"] = "failed"
    id: int
    code: ErrorCode
    detail: str


Command = Load | Generate | Evict | Memory | Cancel
Answer = Loaded | Done | Evicted | MemoryRead | Cancelled | Failed
Reply = Ready | Progress | Answer

_commands: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="kind")])
_replies: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Field(discriminator="kind")])


def to_line(frame: Command | Reply) -> bytes:
    """Return the frame as one line, its end included."""
    return frame.model_dump_json().encode() + b"\n"


def command_of(line: bytes) -> Command:
    """Return the command in a line; raise pydantic's `ValidationError` otherwise."""
    return _commands.validate_json(line)


def reply_of(line: bytes) -> Reply:
    """Return the reply in a line; raise pydantic's `ValidationError` otherwise."""
    return _replies.validate_json(line)
