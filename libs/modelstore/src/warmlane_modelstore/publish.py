"""Turning finished blobs into a model's directory, in one step that a reader sees whole or not at all.

ledger ─► tree under .tmp: links, inline files ─► components checked ─► record ─► fsync ─► rename into place
"""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.ledger import Finished
from warmlane_modelstore.manifest.componentry import TYPES, component_of
from warmlane_modelstore.manifest.entries import Inline, Layout
from warmlane_modelstore.places import Places
from warmlane_modelstore.record import Origin, Record, RecordedFile, sync_directory, write_record
from warmlane_modelstore.resolver import Resolved

_WEIGHTS = ".safetensors"


class Sealer(Protocol):
    """Encrypts one file; see `sealing/`."""

    suffix: str

    def seal(self, source: Path, target: Path) -> str:
        """Encrypts `source` into `target`; returns the sha256 of `target`."""
        ...


class Publisher:
    """Builds and publishes trees of one store. The caller holds the model's lease."""

    def __init__(self, places: Places, blobs: BlobStore, *, manifest_digest: str, sealer: Sealer | None = None) -> None:
        """With a `sealer`, weights are published encrypted."""
        self._places = places
        self._blobs = blobs
        self._manifest_digest = manifest_digest
        self._sealer = sealer

    def build(self, resolved: Resolved, finished: Mapping[str, Finished], inlines: tuple[Inline, ...]) -> Record:
        """A fresh tree from the blobs, with its record written. Nothing outside `.tmp` changes."""
        tree = self._places.tree(resolved.id)
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        files = [self._place(tree, each) for each in finished.values() if not each.raw]
        files += [_write_inline(tree, inline) for inline in inlines]
        files.sort(key=lambda file: file.path)
        check_components(resolved, [file.path for file in files])
        record = Record(
            id=str(resolved.id),
            verified_at=datetime.now(UTC).isoformat(timespec="seconds"),
            manifest_digest=self._manifest_digest,
            files=tuple(files),
            origins=tuple(Origin(each.path, each.size, each.sha256) for each in finished.values() if each.raw),
            converted=str(resolved.variant.convert),
            encrypted=self._sealer is not None,
            family=resolved.model.family,
        )
        write_record(tree, record)
        for directory in {(tree / file.path).parent for file in files}:
            sync_directory(directory)
        return record

    def _place(self, tree: Path, finished: Finished) -> RecordedFile:
        if self._sealer is not None and finished.path.endswith(_WEIGHTS):
            return self._seal(self._sealer, tree, finished)
        target = tree / finished.path
        kind = self._blobs.link(finished.sha256, target)
        stat = target.stat()
        return RecordedFile(
            path=finished.path,
            size=stat.st_size,
            sha256=finished.sha256,
            mtime_ns=stat.st_mtime_ns,
            how=finished.how,
            source=finished.source,
            component=component_of(finished.path),
            link=str(kind),
        )

    def _seal(self, sealer: Sealer, tree: Path, finished: Finished) -> RecordedFile:
        """An encrypted copy of its own; the clear blob goes once the model is published (`forget_clear`)."""
        target = tree / f"{finished.path}{sealer.suffix}"
        digest = sealer.seal(self._blobs.path(finished.sha256), target)
        stat = target.stat()
        return RecordedFile(
            path=f"{finished.path}{sealer.suffix}",
            size=stat.st_size,
            sha256=digest,
            mtime_ns=stat.st_mtime_ns,
            how=finished.how,
            source=finished.source,
            component=component_of(finished.path),
            link="sealed",
            clear_sha256=finished.sha256,
        )

    def forget_clear(self, record: Record, needed: Callable[[], set[str]]) -> None:
        """Deletes clear blobs of encrypted weights, but for those another model needs in the clear."""
        clear = {file.clear_sha256 for file in record.files if file.clear_sha256}
        for digest in clear - needed() if clear else ():
            self._blobs.discard(digest)

    def publish(self, resolved: Resolved) -> Path:
        """Renames the built tree into place. An older one is set aside first and deleted after; lanes keep what they mapped.

        Raises IN_USE when something lies there that the store did not make.
        """
        final = self._places.model(resolved.id)
        self.refuse_foreign(resolved)
        final.parent.mkdir(parents=True, exist_ok=True)
        aside = self._places.trash() / uuid.uuid4().hex
        if final.exists():
            aside.parent.mkdir(parents=True, exist_ok=True)
            final.rename(aside)
        self._places.tree(resolved.id).rename(final)
        sync_directory(final.parent)
        shutil.rmtree(aside, ignore_errors=True)
        return final

    def refuse_foreign(self, resolved: Resolved) -> None:
        final = self._places.model(resolved.id)
        if final.exists() and not self._places.record(resolved.id).exists() and any(final.iterdir()):
            raise StoreError(
                Code.IN_USE,
                f"{final} holds files the store did not put there",
                "Take them over with: wan models migrate; or move them away.",
            )

    def clean(self, resolved: Resolved) -> None:
        """Removes an unpublished tree and whatever a killed publish left in the trash."""
        shutil.rmtree(self._places.tree(resolved.id), ignore_errors=True)
        with contextlib.suppress(OSError):
            for left in self._places.trash().iterdir():
                shutil.rmtree(left, ignore_errors=True)


def _write_inline(tree: Path, inline: Inline) -> RecordedFile:
    target = tree / inline.path
    target.parent.mkdir(parents=True, exist_ok=True)
    data = inline.text.strip().encode() + b"\n"
    target.write_bytes(data)
    stat = target.stat()
    return RecordedFile(
        path=inline.path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        mtime_ns=stat.st_mtime_ns,
        how="manifest",
        source="manifest",
        component=component_of(inline.path),
    )


def check_components(resolved: Resolved, paths: list[str]) -> None:
    """Raises CORRUPT unless exactly the components the model type needs are there: before a GPU is touched."""
    if resolved.model.layout is Layout.SINGLE_FILE:
        return
    typed = TYPES[resolved.model.type]
    present = {component_of(path) for path in paths}
    missing = [name for name in resolved.model.required if name not in present]
    refused = [name for name in typed.refused if name in present and name not in resolved.model.optional]
    if missing or refused:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"must not have {', '.join(refused)}"] if refused else []
        raise StoreError(
            Code.CORRUPT,
            f"{resolved.id} as {resolved.model.type} {' and '.join(parts)}",
            "Correct the manifest's files, allow patterns or borrow entries.",
        )
