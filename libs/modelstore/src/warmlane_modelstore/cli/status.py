"""`wan models status`: what is here, what is missing to the byte, and why it is as large as it is."""

from argparse import Namespace
from pathlib import Path

from warmlane_modelstore.cli.answer import Answer
from warmlane_modelstore.disk import human
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.status import ModelStatus, State
from warmlane_modelstore.store import ModelStore

_CORRUPT, _INCOMPLETE = 7, 3


def run(chosen: Namespace, store: ModelStore) -> Answer:
    statuses = store.statuses(chosen.models)
    documents = [status_document(status, store) for status in statuses]
    lines = [_line(status) for status in statuses]
    if chosen.explain:
        for status, document in zip(statuses, documents, strict=True):
            explanation, said = _explain(status, store)
            document["explanation"] = explanation
            lines += ["", *said]
    return Answer(
        {"models_root": str(store.settings.root), "models": documents},
        "\n".join([_HEADER, *lines]),
        _exit_code(statuses) if chosen.check else 0,
    )


_HEADER = f"{'MODEL':<28} {'STATE':<12} {'PRESENT':>10} {'NEEDED':>10}  NOTE"


def status_document(status: ModelStatus, store: ModelStore) -> dict[str, object]:
    """A status as the schema's `model`; the service answers with the same."""
    pin = store.pins.get(status.id)
    activity = status.activity
    return {
        "id": str(status.id),
        "state": str(status.state),
        "path": _shown(status.path, store),
        "bytes_total": status.bytes_total,
        "bytes_present": status.bytes_present,
        "bytes_needed": status.bytes_needed,
        "exact": status.exact,
        "pinned": pin is not None,
        "problems": [
            {"path": p.path, "component": p.component, "reason": p.reason, "bytes_needed": p.bytes_needed}
            for p in status.problems
        ],
        "activity": None
        if activity is None
        else {
            "phase": str(activity.phase),
            "bytes_done": activity.bytes_done,
            "bytes_total": activity.bytes_total,
            "file": activity.file,
            "holder": activity.holder,
        },
    }


def _shown(path: Path, store: ModelStore) -> str:
    """Relative to MODELS_ROOT, which the document names once."""
    return path.relative_to(store.settings.root).as_posix()


def _line(status: ModelStatus) -> str:
    about = "" if status.exact else "~"
    note = ""
    if status.activity is not None:
        note = f"{status.activity.phase} by {status.activity.holder}"
    elif status.state is State.CORRUPT:
        note = f"{len(status.problems)} bad files: wan models ensure {status.id.name}"
    elif status.state is State.PARTIAL:
        note = f"{len(status.problems)} files missing"
    present, needed = human(status.bytes_present), about + human(status.bytes_needed)
    return f"{status.id!s:<28} {status.state:<12} {present:>10} {needed:>10}  {note}".rstrip()


def _explain(status: ModelStatus, store: ModelStore) -> tuple[dict[str, object] | None, list[str]]:
    try:
        found = store.explain(str(status.id))
    except StoreError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None, [f"{status.id}: {error.detail}"]
    document: dict[str, object] = {
        "total_bytes": found.total_bytes,
        "own_bytes": found.own_bytes,
        "components": [
            {
                "component": line.component,
                "files": line.files,
                "bytes": line.bytes,
                "shared_bytes": line.shared_bytes,
                "shared_with": sorted(line.shared_with),
            }
            for line in found.components
        ],
        "sentences": list(found.sentences),
    }
    said = [f"{found.model}: {human(found.total_bytes)}, of which {human(found.own_bytes)} are its own"]
    for line in found.components:
        shared = f", {human(line.shared_bytes)} shared" if line.shared_bytes else ""
        said.append(f"  {line.component:<18} {human(line.bytes):>10} in {line.files} files{shared}")
    return document, said + [f"  {sentence}" for sentence in found.sentences]


def _exit_code(statuses: list[ModelStatus]) -> int:
    if any(status.state is State.CORRUPT for status in statuses):
        return _CORRUPT
    return 0 if all(status.ready for status in statuses) else _INCOMPLETE
