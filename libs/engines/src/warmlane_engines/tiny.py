"""Tiny models: the real classes with random weights, under a megabyte each, made here instead of downloaded.

    python -m warmlane_engines.tiny --models-root DIR [--only anisora|phr00t] [--manifest models.toml]

They are untrained: clips made with them are texture, and prove the machinery, not the model. A folder is written beside
its place and moved there whole, so that a killed build leaves nothing that looks complete. With a manifest the folder is a
source of the model store: every file with its size and sha256.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

NAMES = ("anisora", "phr00t")
VERSION = 1
"""Raised when the builder makes something else, so that old folders are made anew."""

_MARK = "warmlane-tiny.json"


def build(name: str, models_root: Path) -> bool:
    """Make the tiny model `name` under `models_root` unless it is there; return whether it was made.

    Raise `FileExistsError` when something else lies in its place: real weights are never overwritten.
    """
    place = models_root / name
    if _version_at(place) == VERSION:
        return False
    if place.exists() and _version_at(place) is None:
        raise FileExistsError(f"{place} holds a model that is not tiny; choose another models root")
    models_root.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=models_root))
    try:
        from warmlane_engines.tiny_models import save

        save(name, made)
        (made / _MARK).write_text(json.dumps({"builder_version": VERSION, "weights": "random, untrained"}) + "\n")
        made.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return True


def write_manifest(path: Path, source: Path) -> None:
    """Write the model store's manifest of the tiny models in `source`, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text("schema_version = 1\n" + "".join(_entry(name, source / name) for name in NAMES), "utf-8")
    fresh.replace(path)


def _entry(name: str, folder: Path) -> str:
    lines = [
        "",
        "[[model]]",
        f'id = "{name}"',
        f'version = "0.0.{VERSION}"',
        'family = "tiny"',
        'type = "single-file"',
        'layout = "diffusers"',
        'license = { spdx = "Apache-2.0", commercial = "yes" }',
        f'source = [{{ kind = "local", path = {json.dumps(str(folder.absolute()))} }}]',
        "",
        "[[model.variant]]",
        'name = "fp32"',
        'dtype_on_disk = "fp32"',
    ]
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        lines += [
            "[[model.variant.file]]",
            f"path = {json.dumps(file.relative_to(folder).as_posix())}",
            f"size = {len(data)}",
            f'sha256 = "{digest}"',
        ]
    return "\n".join(lines) + "\n"


def _version_at(place: Path) -> int | None:
    try:
        return int(json.loads((place / _MARK).read_text("utf-8"))["builder_version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main() -> int:
    """Build what is missing."""
    parser = argparse.ArgumentParser(prog="python -m warmlane_engines.tiny", description="Make the tiny models.")
    parser.add_argument("--models-root", type=Path, required=True)
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--manifest", type=Path, help="write the model store's manifest of them here")
    options = parser.parse_args()
    for name in [options.only] if options.only else NAMES:
        try:
            made = build(name, options.models_root)
        except OSError as failed:
            sys.stderr.write(f"The tiny model {name} cannot be made: {failed}\n")
            return 1
        sys.stdout.write(f"{name}: {'made' if made else 'already there'} (random weights, untrained)\n")
    if options.manifest:
        write_manifest(options.manifest, options.models_root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
