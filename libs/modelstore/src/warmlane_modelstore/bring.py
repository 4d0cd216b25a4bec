"""Getting every file of a plan into the blob store, from wherever it is nearest: here already, another model, a source.

plan ─► in the ledger? in the blobs? ─► nothing to do
          └ no ─► lease of that content ─► (somebody else brought it meanwhile?) ─► fetch ─► ledger ─► blob
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from warmlane_modelstore.blobs import BlobStore
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.leases.holding import LeaseRoom
from warmlane_modelstore.ledger import Finished, Ledger, ledger_key
from warmlane_modelstore.manifest.entries import Source
from warmlane_modelstore.places import Places
from warmlane_modelstore.planning import Plan, PlannedFile, part_name
from warmlane_modelstore.sources.base import SourceClient
from warmlane_modelstore.transfer.download import Downloader, Fetched, Wish
from warmlane_modelstore.transfer.progress import Progress


class Bringer:
    """Fetches for one model, under the model's lease. `clients` makes sources' clients, once per list."""

    def __init__(
        self,
        places: Places,
        blobs: BlobStore,
        room: LeaseRoom,
        downloader: Downloader,
        clients: Callable[[Sequence[Source]], list[SourceClient]],
        *,
        owner: str,
        files: int,
        stop: threading.Event,
        wait_s: float,
    ) -> None:
        self._places = places
        self._blobs = blobs
        self._room = room
        self._downloader = downloader
        self._clients = clients
        self._owner = owner
        self._files = files
        self._stop = stop
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self.fetched_bytes = 0

    def missing(self, plan: Plan, ledger: Ledger) -> list[PlannedFile]:
        """What has to be fetched; what is here under its hash already is noted in the ledger on the way."""
        finished = ledger.read()
        wanted: list[PlannedFile] = []
        for file in plan.files:
            spec = file.spec
            done = finished.get(ledger_key(spec.path, raw=file.raw))
            same = done is not None and spec.sha256 in {None, done.sha256}
            if done is not None and same and (done.consumed or self._blobs.has(done.sha256, done.size)):
                continue
            if spec.sha256 and self._blobs.has(spec.sha256, spec.size):
                size = self._blobs.path(spec.sha256).stat().st_size
                ledger.add(Finished(spec.path, size, spec.sha256, "blob", "store", raw=file.raw))
                continue
            wanted.append(file)
        return wanted

    def bring(self, files: Sequence[PlannedFile], ledger: Ledger, progress: Progress) -> None:
        """Fetches all of `files`, several at once. Raises the first failure, after the others have stopped."""
        clients = _ClientCache(self._clients)
        with ThreadPoolExecutor(max(1, self._files), thread_name_prefix="store-file") as pool:
            running = [pool.submit(self._one, file, clients, ledger, progress) for file in files]
            try:
                for future in as_completed(running):
                    future.result()
            except BaseException:
                # What is running stops at its next buffer and keeps what it has.
                self._stop.set()
                for future in running:
                    future.cancel()
                raise

    def _one(self, file: PlannedFile, clients: "_ClientCache", ledger: Ledger, progress: Progress) -> None:
        with self._content_lease(file) as isolate:
            spec = file.spec
            if spec.sha256 and self._blobs.has(spec.sha256, spec.size):
                progress.add(spec.size or 0)
                finished = Finished(spec.path, spec.size or 0, spec.sha256, "blob", "store", raw=file.raw)
                with self._lock:
                    ledger.add(finished)
                return
            progress.name(spec.path)
            wish = Wish(
                name=spec.path,
                remote=spec.remote,
                size=spec.size,
                sha256=spec.sha256,
                part=part_name(file, self._owner),
                isolate=isolate,
            )
            try:
                fetched = self._downloader.fetch(wish, clients.get(file.sources), progress)
            except StoreError as error:
                if spec.optional and error.code is Code.NOT_FOUND:
                    return
                raise
            self._keep(file, fetched, ledger)

    def _keep(self, file: PlannedFile, fetched: Fetched, ledger: Ledger) -> None:
        how = "source-sha256" if file.claimed and fetched.how == "sha256" else fetched.how
        finished = Finished(file.spec.path, fetched.size, fetched.sha256, how, fetched.source, raw=file.raw)
        with self._lock:
            self.fetched_bytes += fetched.size - fetched.part.resumed_bytes
            # Ledger first: from its first moment the blob is referenced, and no sweep takes it.
            ledger.add(finished)
            self._blobs.adopt(fetched.part, fetched.sha256)

    @contextlib.contextmanager
    def _content_lease(self, file: PlannedFile) -> Iterator[bool]:
        """One download per content on this store, whatever models want it. Yields whether its part must be isolated."""
        if not file.spec.sha256:
            yield False
            return
        path = self._places.lease(f"blob-{file.spec.sha256}")
        with self._room.hold(path, what=file.spec.path, wait_s=self._wait_s, stop=self._stop) as held:
            yield held.lease.taken_over


class _ClientCache:
    """Clients per list of sources, so that a hundred files share one HTTP client's connections."""

    def __init__(self, make: Callable[[Sequence[Source]], list[SourceClient]]) -> None:
        self._make = make
        self._made: dict[Sequence[Source], list[SourceClient]] = {}
        self._lock = threading.Lock()

    def get(self, sources: tuple[Source, ...]) -> list[SourceClient]:
        with self._lock:
            if sources not in self._made:
                self._made[sources] = self._make(sources)
            return self._made[sources]
