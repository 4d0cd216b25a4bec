"""Canonical model ids: `t2v-A14B@2.2.0#bf16` is model, version and variant.

People and configurations may leave out what has one obvious answer (`t2v-A14B`, `t2v-A14B#fp8`); the resolver fills
it in. Directories, leases and records always carry the full id.
"""

import re
from dataclasses import dataclass
from typing import Self

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}(?:-[A-Za-z0-9]{1,16}(?:\.[A-Za-z0-9]{1,16}){0,3})?")
_ID = re.compile(rf"(?P<name>{NAME.pattern})(?:@(?P<version>{VERSION.pattern}))?(?:#(?P<variant>{NAME.pattern}))?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody typed: a model, perhaps a version, perhaps a variant."""

    name: str
    version: str | None = None
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when the text is no model id; says which form is expected."""
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no model id; expected name[@version][#variant], as in t2v-A14B@2.2.0#bf16")
        return cls(match["name"], match["version"], match["variant"])


@dataclass(frozen=True, slots=True, order=True)
class ModelId:
    """A canonical id: complete, and equal to one directory under MODELS_ROOT."""

    name: str
    version: str
    variant: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}#{self.variant}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless the text is a complete id."""
        wanted = Wanted.parse(text)
        if wanted.version is None or wanted.variant is None:
            raise ValueError(f"{text!r} is not complete; expected name@version#variant")
        return cls(wanted.name, wanted.version, wanted.variant)


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """A sort key: numbers by value, and a pre-release (`2.2.0-rc1`) before its release."""
    numbers, _, pre = version.partition("-")
    return tuple(int(part) for part in numbers.split(".")), not pre, pre
