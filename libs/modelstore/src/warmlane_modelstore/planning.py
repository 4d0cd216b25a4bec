"""Which files make up a model, and where each may come from.

    manifest files ──────────────┐
    listing (hub, s3, local) ────┤► own files ─┐
       └ *.index.json: only shards that are named │► Plan
    borrowed: another model's files, by pattern ─┤
    inline: text the manifest holds ─────────────┘

A listing is asked for once and kept in `.state/listings`; after that, status knows every missing byte without a
network. A listing of a pinned revision never changes; others are asked for again by each ensure.
"""

import fnmatch
import hashlib
import json
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from warmlane_modelstore.errors import Attempt, Code, StoreError
from warmlane_modelstore.manifest.componentry import component_of
from warmlane_modelstore.manifest.entries import Convert, FileSpec, Inline, Layout, Source, SourceKind
from warmlane_modelstore.manifest.pathrules import collisions, path_problem
from warmlane_modelstore.places import Places
from warmlane_modelstore.resolver import Resolved, Resolver

# Status plans without a network; what the network needs is not imported for it.
if TYPE_CHECKING:
    from warmlane_modelstore.sources.base import RemoteFile, SourceClient
    from warmlane_modelstore.sources.build import SourceBuilder
    from warmlane_modelstore.transfer.negative import NegativeCache

_LISTING = "listing"
_INDEX = ".safetensors.index.json"
_WEIGHTS = ".safetensors"
_INDEX_BYTES = 32 * 1024 * 1024
LORAS = "loras"
# Only these are turned into another precision: a VAE in bf16 shows bands, an encoder comes in bf16 already.
_CONVERTED_COMPONENTS = frozenset({"transformer", "transformer_2", "unet"})


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file to bring. `claimed` marks a hash that the source and not the manifest gave; `raw` one to be converted."""

    spec: FileSpec
    sources: tuple[Source, ...]
    claimed: bool = False
    raw: bool = False
    borrowed_from: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a model is made of."""

    files: tuple[PlannedFile, ...]
    inlines: tuple[Inline, ...]

    @property
    def size(self) -> int:
        return sum(file.spec.size or 0 for file in self.files)


class Planner:
    """Makes plans; remembers listings. `known` never touches a network, `make` may."""

    def __init__(
        self,
        places: Places,
        resolver: Resolver,
        builder: "SourceBuilder | None",
        negative: "NegativeCache | None" = None,
    ) -> None:
        self._places = places
        self._resolver = resolver
        self._builder = builder
        self._negative = negative

    def known(self, resolved: Resolved) -> Plan | None:
        """The plan as far as this node knows it already, or None when something was never listed."""
        own = self._own_known(resolved)
        lenders = [(borrow, self._lender(resolved, borrow.model)) for borrow in resolved.model.borrows]
        lent = [self._own_known(lender) for _, lender in lenders]
        if own is None or any(files is None for files in lent):
            return None
        borrowed = [
            file
            for (borrow, lender), files in zip(lenders, lent, strict=True)
            for file in _pick(files or (), borrow.paths, lender)
        ]
        return _assemble(resolved, own, borrowed)

    def make(self, resolved: Resolved) -> Plan:
        """The plan, listed now where need be. Raises StoreError with every attempt when no source can list."""
        own = self._own(resolved)
        borrowed: list[PlannedFile] = []
        for borrow in resolved.model.borrows:
            lender = self._lender(resolved, borrow.model)
            picked = list(_pick(self._own(lender), borrow.paths, lender))
            if not picked:
                raise StoreError(
                    Code.NOT_FOUND,
                    f"{resolved.id} borrows {', '.join(borrow.paths)} from {lender.id}, which has none of them",
                    "Correct the [[model.borrow]] entry.",
                )
            borrowed += picked
        return _assemble(resolved, own, borrowed)

    def forget(self, resolved: Resolved) -> None:
        self._places.listing(resolved.id).unlink(missing_ok=True)

    def _lender(self, resolved: Resolved, name: str) -> Resolved:
        """The lender in the same variant where it has one: borrowed components are the same in all of them."""
        lender = self._resolver.resolve(name)
        same = lender.model.variant(resolved.variant.name)
        return lender if same is None else Resolved(lender.model.id(same), lender.model, same)

    def _own_known(self, resolved: Resolved) -> tuple[PlannedFile, ...] | None:
        if resolved.variant.files or not resolved.sources:
            return tuple(PlannedFile(spec, resolved.sources) for spec in resolved.variant.files)
        listed = self._read(resolved)
        return None if listed is None else tuple(PlannedFile(s, resolved.sources, claimed=True) for s in listed)

    def _own(self, resolved: Resolved) -> tuple[PlannedFile, ...]:
        known = self._own_known(resolved)
        if known is not None and (resolved.variant.files or not resolved.sources or _pinned(resolved.sources)):
            return known
        listed = self._list(resolved)
        self._write(resolved, listed)
        return tuple(PlannedFile(spec, resolved.sources, claimed=True) for spec in listed)

    def _list(self, resolved: Resolved) -> list[FileSpec]:
        assert self._builder is not None, "a planner without sources was asked to list"  # noqa: S101
        attempts: list[Attempt] = []
        for client in self._builder.clients(resolved.sources):
            blocked = self._negative.blocked(client.label, _LISTING) if self._negative else None
            if blocked is not None:
                attempts.append(blocked)
                continue
            try:
                remote = _only_named_shards(client, client.files())
            except StoreError as error:
                attempts.append(Attempt(client.label, _LISTING, error.code, error.detail))
                if self._negative:
                    self._negative.failed(client.label, _LISTING, error)
                continue
            if self._negative:
                self._negative.succeeded(client.label, _LISTING)
            _check_listing(client.label, remote)
            return [FileSpec(f.path, f.size, f.sha256, component_of(f.path)) for f in remote]
        from warmlane_modelstore.transfer.download import summarise  # noqa: PLC0415 - status must not load transfers

        raise summarise(f"the file list of {resolved.id}", attempts)

    def _read(self, resolved: Resolved) -> list[FileSpec] | None:
        try:
            raw = json.loads(self._places.listing(resolved.id).read_bytes())
            if raw["sources"] != _fingerprint(resolved.sources):
                return None
            return [FileSpec(**each) for each in raw["files"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, resolved: Resolved, files: Sequence[FileSpec]) -> None:
        path = self._places.listing(resolved.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        document = {"sources": _fingerprint(resolved.sources), "files": [asdict(spec) for spec in files]}
        temporary.write_text(json.dumps(document))
        temporary.replace(path)


def _assemble(resolved: Resolved, own: Iterable[PlannedFile], borrowed: Iterable[PlannedFile]) -> Plan:
    """Own files first; whether a file is raw depends on layout and conversion of the model it ends in."""
    raw = [replace(file, raw=_is_raw(resolved, file.spec)) for file in own]
    return Plan((*raw, *borrowed, *_overlays(resolved)), resolved.model.inlines)


def _overlays(resolved: Resolved) -> Iterable[PlannedFile]:
    """LoRAs lie beside the components as `loras/<name>`, under their own name whatever their source calls them."""
    for lora in resolved.model.loras:
        if lora.applies_to and resolved.variant.name not in lora.applies_to:
            continue
        suffix = posixpath.splitext(lora.file.path)[1]
        path = f"{LORAS}/{lora.name}{suffix}"
        spec = replace(lora.file, path=path, source_path=lora.file.remote, component=LORAS)
        yield PlannedFile(spec, lora.sources)


def _is_raw(resolved: Resolved, spec: FileSpec) -> bool:
    if resolved.variant.convert is Convert.NONE:
        return False
    if resolved.model.layout in {Layout.AIO, Layout.WAN_ORIGINAL}:
        return spec.path.endswith((_WEIGHTS, _INDEX))
    return component_of(spec.path) in _CONVERTED_COMPONENTS and spec.path.endswith((_WEIGHTS, _INDEX))


def _pick(files: Iterable[PlannedFile], patterns: Sequence[str], lender: Resolved) -> Iterable[PlannedFile]:
    for file in files:
        if any(fnmatch.fnmatchcase(file.spec.path, pattern) for pattern in patterns):
            yield replace(file, raw=False, borrowed_from=str(lender.id))


def _only_named_shards(client: "SourceClient", files: "Sequence[RemoteFile]") -> "list[RemoteFile]":
    """Leaves out weights that an index beside them does not name: repositories keep old shards and other formats."""
    named: dict[str, set[str]] = {}
    for file in files:
        if file.path.endswith(_INDEX):
            folder = posixpath.dirname(file.path)
            named.setdefault(folder, set()).update(_shards(client, file))
    kept = [
        file
        for file in files
        if not file.path.endswith(_WEIGHTS)
        or posixpath.dirname(file.path) not in named
        or posixpath.basename(file.path) in named[posixpath.dirname(file.path)]
    ]
    have = {file.path for file in kept}
    missing = [
        posixpath.join(d, n) for d, names in named.items() for n in sorted(names) if posixpath.join(d, n) not in have
    ]
    if missing:
        raise StoreError(
            Code.NOT_FOUND,
            f"{client.label}: an index names shards that are not there: {', '.join(missing)}",
            "Check the source.",
        )
    return kept


def _shards(client: "SourceClient", index: "RemoteFile") -> set[str]:
    if index.size > _INDEX_BYTES:
        raise StoreError(Code.NOT_FOUND, f"{index.path} is too large for an index", "Check the source.")
    raw = bytearray()
    client.read(index, 0, index.size, raw.extend)
    try:
        return {str(name) for name in json.loads(raw)["weight_map"].values()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(Code.CHECKSUM_FAIL, f"{index.path} is no shard index", "Check the source.") from error


def _check_listing(label: str, files: "Sequence[RemoteFile]") -> None:
    """A listing is somebody else's text: its paths obey the manifest's rules or nothing is fetched."""
    problems = [f"{file.path!r} {path_problem(file.path)}" for file in files if path_problem(file.path)]
    problems += collisions(file.path for file in files)
    if problems:
        raise StoreError(
            Code.INVALID_MANIFEST,
            f"{label} lists paths the store refuses: {'; '.join(problems[:5])}",
            "Narrow allow or ignore.",
        )


def _pinned(sources: Sequence[Source]) -> bool:
    return all(source.kind is SourceKind.HUB for source in sources)


def _fingerprint(sources: Sequence[Source]) -> str:
    return hashlib.sha256(repr(sources).encode()).hexdigest()


def part_name(file: PlannedFile, owner: str) -> str:
    """The name of a file's part: by content where it is known, so that models share a download; else by place."""
    if file.spec.sha256:
        return file.spec.sha256
    return hashlib.sha256(f"{owner}\0{file.spec.path}".encode()).hexdigest()[:40]


def directory_of_manifest(origin: str) -> Path:
    """Where relative local sources start."""
    return Path(origin).resolve().parent
