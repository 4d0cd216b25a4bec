"""`wan models validate`: every problem of a manifest, or what it holds."""

from argparse import Namespace
from pathlib import Path

from warmlane_modelstore.cli.answer import Answer, error_document
from warmlane_modelstore.errors import InvalidManifest
from warmlane_modelstore.manifest.load import load
from warmlane_modelstore.resolver import Resolver
from warmlane_modelstore.settings import StoreSettings


def run(chosen: Namespace, settings: StoreSettings) -> Answer:
    path = Path(chosen.manifest) if chosen.manifest else settings.manifest
    try:
        manifest = load(path, public_key=settings.public_key, require_signature=settings.require_signature)
    except InvalidManifest as error:
        problems = [{"where": problem.where, "message": problem.message} for problem in error.problems]
        lines = [f"{problem.where}: {problem.message}" for problem in error.problems]
        return Answer({"problems": problems, "models": []}, "\n".join(lines), error.exit_code, error_document(error))
    ids = [str(resolved.id) for resolved in Resolver(manifest).every_variant()]
    text = f"{manifest.origin}: valid, {len(manifest.models)} models, sha256 {manifest.digest}"
    return Answer({"problems": [], "models": ids, "digest": manifest.digest}, text)
