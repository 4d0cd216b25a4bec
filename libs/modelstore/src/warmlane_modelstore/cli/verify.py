"""`wan models verify`: every byte hashed again; corrupt files are named and marked, the next ensure mends them."""

import os
from argparse import Namespace

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.cli.bars import shown
from warmlane_modelstore.disk import human
from warmlane_modelstore.store import ModelStore
from warmlane_modelstore.transfer.progress import Progress

_CORRUPT = 7


def run(chosen: Namespace, store: ModelStore) -> Answer:
    names = chosen.models or [str(s.id) for s in store.statuses() if store.places.record(s.id).exists()]
    workers = chosen.workers or os.cpu_count() or 1
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    intact = True
    for name in names:
        model = store.resolver.resolve(name).id
        progress = Progress(str(model))
        with shown(progress, quiet=chosen.quiet or chosen.json):
            verdict = store.verify(str(model), workers=workers, progress=progress)
        intact = intact and verdict.intact
        documents.append(
            {
                "id": str(model),
                "intact": verdict.intact,
                "files": len(verdict.files),
                "bytes_read": verdict.bytes_read,
                "bad": [{"path": bad.path, "component": bad.component, "reason": bad.reason} for bad in verdict.bad],
            }
        )
        state = (
            "intact" if verdict.intact else f"{len(verdict.bad)} bad files; mend with: wan models ensure {model.name}"
        )
        lines.append(f"{model}: {len(verdict.files)} files, {human(verdict.bytes_read)} read, {state}")
        lines += [f"  {bad.path}: {bad.reason}" for bad in verdict.bad]
    return Answer({"models": documents}, "\n".join(lines) or "Nothing is here.", 0 if intact else _CORRUPT)
