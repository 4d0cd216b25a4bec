"""The cache other tools share: what `hf download` or diffusers already brought need not come over the line again.

Read only, and by its published layout (`models--org--name/snapshots/<revision>/…`), without huggingface_hub. It has
been known to hold corrupt or partial files, so it is one more source whose bytes are hashed on the way in.
"""

from pathlib import Path

from warmlane_modelstore.sources.local import LocalSource


def cached_snapshot(cache: Path, repo: str, revision: str, subfolder: str) -> LocalSource | None:
    """The snapshot of that revision as a source, or None when the cache has none."""
    repository = cache / f"models--{repo.replace('/', '--')}"
    named = repository / "refs" / revision
    commit = named.read_text().strip() if named.is_file() else revision
    snapshot = repository / "snapshots" / commit / subfolder.strip("/")
    if not snapshot.is_dir():
        return None
    return LocalSource(f"hub-cache:{repo}@{commit[:8]}", snapshot)
