"""`wan models sign`: a manifest or a published model, as an OpenSSF model-signing bundle."""

from argparse import Namespace
from pathlib import Path

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.manifest.load import SIGNATURE_SUFFIX
from warmlane_modelstore.places import key_of
from warmlane_modelstore.signing.bundle import read_key
from warmlane_modelstore.signing.manifest import sign_manifest
from warmlane_modelstore.signing.model import sign_record
from warmlane_modelstore.store import ModelStore


def run(chosen: Namespace, store: ModelStore) -> Answer:
    if chosen.manifest:
        signed, target, bundle, files = _manifest(chosen, store)
    else:
        signed, target, bundle, files = _model(chosen, store)
    output = Path(chosen.output) if chosen.output else target
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(bundle)
    return Answer(
        {"signed": signed, "bundle": str(output), "files": files}, f"{signed}: signed, {files} files, {output}"
    )


def _manifest(chosen: Namespace, store: ModelStore) -> tuple[str, Path, bytes, int]:
    path = store.settings.manifest
    if path is None:
        raise StoreError(
            Code.NOT_FOUND,
            "the built-in manifest is part of the package and is not signed by you",
            "Set WAN_MODELS_MANIFEST to the manifest to sign.",
        )
    return str(path), path.with_name(path.name + SIGNATURE_SUFFIX), sign_manifest(path, Path(chosen.private_key)), 1


def _model(chosen: Namespace, store: ModelStore) -> tuple[str, Path, bytes, int]:
    record = store.record(chosen.model)
    model = store.resolver.resolve(chosen.model).id
    bundle = sign_record(record, read_key(Path(chosen.private_key)))
    return str(model), store.places.state("signatures") / f"{key_of(model)}.sig", bundle, len(record.files)
