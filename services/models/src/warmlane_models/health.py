"""`GET /health/models`: what is on this node, by model, and by component when asked.

With `dry_run=true` nothing is changed and nobody is asked; the answer takes milliseconds, because status reads records
and file times. Without it, the models this node shall have are queued if they are not complete.
"""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from warmlane_modelstore.cli.status import status_document
from warmlane_modelstore.status import ModelStatus, State
from warmlane_modelstore.store import ModelStore

from warmlane_models import metrics
from warmlane_models.worklist import Worklist

_YES = frozenset({"true", "1", "yes"})


class ModelsHealth:
    """The page of one store. `wanted` are the models this node shall have; all of the manifest when there are none."""

    def __init__(self, store: ModelStore, worklist: Worklist, wanted: Sequence[str]) -> None:
        self._store = store
        self._worklist = worklist
        self._wanted = tuple(wanted)

    async def page(self, query: Mapping[str, str]) -> tuple[HTTPStatus, object]:
        """The document, and 503 when a wanted model is not complete."""
        dry = query.get("dry_run", "").lower() in _YES
        details = query.get("details", "").lower() in _YES
        statuses = await asyncio.to_thread(self.statuses)
        queued = [] if dry else [str(s.id) for s in statuses if self._wanted and self._worklist.offer(str(s.id))]
        document = {
            "dry_run": dry,
            "complete": all(status.ready for status in statuses),
            "bytes_needed": sum(status.bytes_needed for status in statuses),
            "queued": queued,
            "in_work": self._worklist.current,
            "waiting": self._worklist.waiting,
            "models": [self._document(status, details=details) for status in statuses],
        }
        missing = bool(self._wanted) and not document["complete"]
        return HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK, document

    def statuses(self) -> list[ModelStatus]:
        """Of the wanted models; the gauges follow."""
        statuses = self._store.statuses(self._wanted)
        for status in statuses:
            metrics.COMPLETE.labels(str(status.id)).set(status.ready)
            metrics.NEEDED.labels(str(status.id)).set(status.bytes_needed)
        return statuses

    def why_not_complete(self) -> str | None:
        """A readiness check: None when every wanted model is complete."""
        if not self._wanted:
            return None
        lacking = [f"{status.id} is {status.state}" for status in self.statuses() if not status.ready]
        return "; ".join(lacking) or None

    def _document(self, status: ModelStatus, *, details: bool) -> dict[str, object]:
        word = {State.COMPLETE: "present", State.NOT_PRESENT: "missing"}.get(status.state, "partial")
        document = status_document(status, self._store) | {"presence": word}
        if details:
            document["components"] = self._components(status)
        return document

    def _components(self, status: ModelStatus) -> list[dict[str, object]]:
        """Files, bytes and problems of each component, from the record."""
        bad: dict[str, list[str]] = {}
        for problem in status.problems:
            bad.setdefault(problem.component or "", []).append(f"{problem.path}: {problem.reason}")
        sizes: dict[str, list[int]] = {component: [] for component in bad}
        if self._store.places.record(status.id).exists():
            for file in self._store.record(str(status.id)).files:
                sizes.setdefault(file.component or "", []).append(file.size)
        return [
            {"component": name or None, "files": len(found), "bytes": sum(found), "problems": bad.get(name, [])}
            for name, found in sorted(sizes.items())
        ]
