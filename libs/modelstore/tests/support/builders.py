"""Manifests, repositories and stores for tests, small and quick to make."""

import hashlib
import random
from pathlib import Path

from fake_hub import COMMIT
from warmlane_modelstore.manifest.load import parse
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore

MIB = 1024 * 1024


def noise(seed: int, size: int) -> bytes:
    rng = random.Random(seed)
    return b"".join(rng.randbytes(min(MIB, size - at)) for at in range(0, size, MIB))


def put(root: Path, path: str, data: bytes) -> dict:
    """Writes a repository file; returns its manifest entry."""
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data)
    return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def toml(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return f"[{', '.join(toml(item) for item in value)}]"
    return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"


def model(name="small", *, files=None, sources, **extra) -> dict:
    """A model table; `files` None leaves the listing to the source."""
    variant = {"name": "bf16", "dtype_on_disk": "bf16"} | extra.pop("variant", {})
    if files is not None:
        variant["file"] = files
    return {
        "id": name,
        "version": "1.0",
        "family": "tests",
        "type": "single-file",
        "layout": "diffusers",
        "license": {"spdx": "MIT", "commercial": "yes"},
        "source": sources,
        "variant": [variant],
    } | extra


def hub_source(hub, repo="org/repo", **extra) -> dict:
    return {"kind": "hub", "endpoint": hub.url, "repo": repo, "revision": COMMIT} | extra


def manifest_text(*models: dict, **store) -> str:
    top = "schema_version = 1\n" + (f"store = {toml(store)}\n" if store else "")
    return top + "".join("[[model]]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in each.items()) for each in models)


def environ(**extra) -> dict:
    """No keyring, no proxies, no home of the person who runs the tests."""
    return {"WAN_MODELS_KEYRING": "off", "HF_HUB_CACHE": "/nonexistent"} | extra


def store(root: Path, *models: dict, env=None, quotas=None, **settings) -> ModelStore:
    text = manifest_text(*models, **(quotas or {}))
    path = root.parent / "models.toml"
    path.write_text(text)
    made = StoreSettings(
        root=root, manifest=path, environ=environ(**(env or {})), home=root.parent, **{"margin": 0, **settings}
    )
    return ModelStore(made, parse(text.encode(), origin=str(path)))


def strays(root: Path) -> list[str]:
    """Files that a finished store should not have: everything in its own directories but state and blobs."""
    found = []
    for own in (".tmp", ".locks"):
        found += [p.relative_to(root).as_posix() for p in (root / own).rglob("*") if p.is_file() and p.name != ".guard"]
    return found
