"""Conversion at ensure: raw files in, files of the diffusers layout in the wanted precision out, one at a time.

    raw blobs ─► headers ─► outputs planned ─► (in the ledger already?) ─► written, hashed, synced ─► blob + ledger
                                                                                            └─► raw blob let go

Memory is one piece of one tensor, whatever the model's size. A killed conversion has lost the file it was writing.
Nothing but safetensors is ever opened: a pickle would run its author's code.
"""

import hashlib
import json
import posixpath
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.convert.casting import FP8, cast, scale_values
from warmlane_modelstore.convert.selection import Move, Rule, check_blocks, renaming, select, split_aio
from warmlane_modelstore.convert.tensors import TensorFile, TensorWriter
from warmlane_modelstore.ledger import Finished, Ledger
from warmlane_modelstore.manifest.componentry import component_of
from warmlane_modelstore.manifest.entries import Convert, Layout
from warmlane_modelstore.places import Places, key_of
from warmlane_modelstore.planning import Plan
from warmlane_modelstore.resolver import Resolved
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.progress import Phase, Progress

# diffusers' own default shard size; smaller shards verify and load in parallel.
SHARD_BYTES = 5 * 10**9
_INDEX = ".safetensors.index.json"
_WEIGHTS = ".safetensors"
_SHARD = re.compile(r"-\d{5}-of-\d{5}")
_STEM = "diffusion_pytorch_model"


@dataclass(frozen=True, slots=True)
class Output:
    """One file to write, from moves out of one raw file."""

    path: str
    raw: Finished
    moves: tuple[Move, ...]


class Converter:
    """Converts for one store. `referenced` tells which blobs others need, so that only ours are let go."""

    def __init__(
        self,
        places: Places,
        blobs: BlobStore,
        *,
        referenced: Callable[[Path], set[str]],
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._places = places
        self._blobs = blobs
        self._referenced = referenced
        self._shard_bytes = shard_bytes

    def extra_bytes(self, resolved: Resolved, plan: Plan) -> int:
        """Disk needed beyond what is fetched. Raw files go one by one, so in halving it is one output, in growing the result."""
        if resolved.variant.convert is Convert.NONE:
            return 0
        raw = [file.spec.size or 0 for file in plan.files if file.raw]
        if resolved.model.layout is Layout.AIO or resolved.variant.dtype_on_disk.startswith("fp8"):
            return 2 * sum(raw)
        return max(raw, default=0)

    def convert(self, resolved: Resolved, ledger: Ledger, progress: Progress, stop: threading.Event) -> None:
        """Afterwards the ledger names every converted file, and the raw ones as consumed. Raises CONVERT_FAIL."""
        finished = ledger.read()
        raws = [each for each in finished.values() if each.raw and not each.consumed]
        weights = [each for each in raws if each.path.endswith(_WEIGHTS)]
        scratch = self._places.root / ".tmp" / "convert" / key_of(resolved.id)
        progress.enter(Phase.CONVERTING, total=sum(each.size for each in weights))
        outputs = self._outputs(resolved, weights, finished)
        for raw in weights:
            for output in outputs:
                if output.raw is raw and output.path not in finished:
                    progress.name(output.path)
                    self._write(output, scratch, ledger, progress, stop)
            # One by one, so that the disk never holds all of both.
            self._consume(raw, ledger)
        self._write_indexes(scratch, ledger)
        for raw in raws:
            if raw not in weights:
                self._consume(raw, ledger)
        shutil.rmtree(scratch, ignore_errors=True)

    # Planning -------------------------------------------------------------------------------------------------------

    def _outputs(self, resolved: Resolved, raws: Sequence[Finished], finished: Mapping[str, Finished]) -> list[Output]:
        if resolved.model.layout is Layout.AIO:
            outputs = self._from_aio(resolved, raws, _provided(finished))
        else:
            outputs = [self._from_shard(resolved, raw) for raw in raws]
        names: dict[str, list[str]] = {}
        for output in outputs:
            names.setdefault(component_of(output.path) or "", []).extend(move.outline.name for move in output.moves)
        # What an earlier, killed conversion has written already.
        for done in _converted_weights(finished):
            with TensorFile(self._blobs.path(done.sha256)) as file:
                names.setdefault(component_of(done.path) or "", []).extend(file.tensors)
        for component, found in names.items():
            check_blocks(found, self._layers(component, resolved, finished), f"{resolved.id} {component}")
        return outputs

    def _from_shard(self, resolved: Resolved, raw: Finished) -> Output:
        component = component_of(raw.path) or ""
        target = posixpath.join(component, posixpath.basename(raw.path))
        original = resolved.model.layout is Layout.WAN_ORIGINAL
        with TensorFile(self._blobs.path(raw.sha256)) as file:
            rename = renaming(component, list(file.tensors)) if original else _same
            moves = select(file.tensors, rename, self._rule(resolved, component), raw.path)
        return Output(target, raw, tuple(moves))

    def _from_aio(self, resolved: Resolved, raws: Sequence[Finished], provided: set[str]) -> list[Output]:
        outputs: list[Output] = []
        for raw in raws:
            with TensorFile(self._blobs.path(raw.sha256)) as file:
                parts = split_aio(file.tensors, raw.path)
            for component, tensors in parts.items():
                # What another model lends is better than the copy in here, which is often fp8.
                if component in provided:
                    continue
                rename = renaming(component, list(tensors))
                moves = select(tensors, rename, self._rule(resolved, component), f"{raw.path} {component}")
                outputs += self._sharded(component, raw, moves)
        return outputs

    def _sharded(self, component: str, raw: Finished, moves: Sequence[Move]) -> Iterator[Output]:
        shards: list[list[Move]] = [[]]
        filled = 0
        for move in moves:
            if shards[-1] and filled + move.outline.size > self._shard_bytes:
                shards.append([])
                filled = 0
            shards[-1].append(move)
            filled += move.outline.size
        stem = "model" if component.startswith("text_encoder") else _STEM
        for number, shard in enumerate(shards, 1):
            suffix = f"-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
            yield Output(f"{component}/{stem}{suffix}{_WEIGHTS}", raw, tuple(shard))

    def _rule(self, resolved: Resolved, component: str) -> Rule:
        """A VAE keeps its precision: in bf16 it shows bands."""
        return Rule(keep=resolved.variant.keep_fp32, cast=component != "vae")

    def _layers(self, component: str, resolved: Resolved, finished: Mapping[str, Finished]) -> int | None:
        """How many blocks the component's configuration announces, if it is at hand."""
        path = f"{component}/config.json"
        inline = next((each.text for each in resolved.model.inlines if each.path == path), None)
        if inline is None and path in finished:
            inline = self._blobs.path(finished[path].sha256).read_text()
        layers = json.loads(inline).get("num_layers") if inline else None
        return layers if isinstance(layers, int) else None

    # Writing --------------------------------------------------------------------------------------------------------

    def _write(self, output: Output, scratch: Path, ledger: Ledger, progress: Progress, stop: threading.Event) -> None:
        writer = TensorWriter(scratch / output.path, [move.outline for move in output.moves])
        try:
            with TensorFile(self._blobs.path(output.raw.sha256)) as file:
                for move in output.moves:
                    _pour(_converted(file, move), writer, stop)
                    progress.add(move.tensor.end - move.tensor.start)
            digest = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        ledger.add(Finished(output.path, writer.size, digest, "converted", f"from {output.raw.path}"))
        self._blobs.adopt_file(writer.path, digest)

    def _write_indexes(self, scratch: Path, ledger: Ledger) -> None:
        """An index for every component of several shards, as loaders want it, read from the finished shards."""
        finished = ledger.read()
        by_component: dict[str, list[Finished]] = {}
        for done in _converted_weights(finished):
            by_component.setdefault(component_of(done.path) or "", []).append(done)
        for component, shards in by_component.items():
            if not _SHARD.search(shards[0].path):
                continue
            weights: dict[str, str] = {}
            total = 0
            for shard in shards:
                with TensorFile(self._blobs.path(shard.sha256)) as file:
                    weights |= dict.fromkeys(file.tensors, posixpath.basename(shard.path))
                    total += sum(tensor.end - tensor.start for tensor in file.tensors.values())
            document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weights.items()))}
            stem = _SHARD.sub("", posixpath.basename(shards[0].path)).removesuffix(_WEIGHTS)
            path = f"{component}/{stem}{_INDEX}"
            if path not in finished:
                self._keep_text(path, json.dumps(document, indent=1), scratch, ledger)

    def _keep_text(self, path: str, text: str, scratch: Path, ledger: Ledger) -> None:
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        file = scratch / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        ledger.add(Finished(path, len(data), digest, "converted", "index"))
        self._blobs.adopt_file(file, digest)

    def _consume(self, raw: Finished, ledger: Ledger) -> None:
        """Lets a raw blob go unless others need it; noted first, so that a kill in between loses nothing."""
        ledger.add(replace(raw, consumed=True))
        # Our own ledger counts, too: two raw files may hold the same bytes.
        ours = {each.sha256 for each in ledger.read().values() if not each.consumed}
        if raw.sha256 not in ours | self._referenced(ledger.path):
            self._blobs.discard(raw.sha256)


def _pour(pieces: Iterator[memoryview], writer: TensorWriter, stop: threading.Event) -> None:
    for piece in pieces:
        if stop.is_set():
            raise Cancelled
        writer.write(piece)


def _converted_weights(finished: Mapping[str, Finished]) -> list[Finished]:
    return [each for each in finished.values() if each.how == "converted" and each.path.endswith(_WEIGHTS)]


def _same(name: str) -> str:
    return name


def _provided(finished: Mapping[str, Finished]) -> set[str]:
    """Components whose weights come from elsewhere."""
    whole = (each for each in finished.values() if not each.raw and each.how != "converted")
    return {component_of(each.path) or "" for each in whole if each.path.endswith(_WEIGHTS)}


def _converted(file: TensorFile, move: Move) -> Iterator[memoryview]:
    """The bytes of one tensor as they shall be written."""
    tensor, target = move.tensor, move.outline.dtype
    if tensor.dtype == target:
        yield from file.pieces(tensor)
        return
    scale = None
    if move.scale is not None:
        scale = scale_values(file.read(move.scale), move.scale.dtype)
    row = tensor.count // tensor.shape[0] if tensor.shape and tensor.shape[0] else 1
    # fp8 grows fourfold on its way through fp32; smaller pieces keep the peak the same.
    piece = 2**21 if tensor.dtype in FP8 else 2**23
    yield from cast(file.pieces(tensor, piece), tensor.dtype, target, scale, row)
