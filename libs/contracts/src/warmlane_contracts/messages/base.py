"""What all messages share: they never change once made, and they refuse what they do not know."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A value inside a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Part):
    """A message. `TYPE` is its name and version on the wire; a changed meaning needs a new version."""

    TYPE: ClassVar[str] = ""
