"""Getting a lease with patience, keeping it alive, and noticing when it was lost.

hold ─► take ─ yes ─► heartbeat thread ─► work ─► release
          └ no ─► read holder ─ dead, or silent for ttl ─► evict ─► take
                         └ alive ─► show their progress, wait, look again … LOCK_TIMEOUT
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.host import Identity
from warmlane_modelstore.leases.lease import Holder, Lease, evict, read, take
from warmlane_modelstore.transfer.backoff import Cancelled
from warmlane_modelstore.transfer.progress import Snapshot


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A holder that has not beaten for `ttl_s` is taken for dead; beats come every `beat_s`."""

    ttl_s: float = 30.0
    beat_s: float = 1.0
    poll_s: float = 0.2


class Held:
    """A lease with its heartbeat. `lost` is set when somebody else took it; work must stop then."""

    def __init__(
        self, lease: Lease, progress: Callable[[], Snapshot | None], beat_s: float, lost: threading.Event
    ) -> None:
        """Starts beating."""
        self.lease = lease
        self.lost = lost
        self._progress = progress
        self._beat_s = beat_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{lease.path.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._beat_s):
            # A disk that refuses one beat may take the next; silence for the ttl ends the lease in any case.
            with contextlib.suppress(OSError):
                if not self.lease.beat(self._progress()):
                    self.lost.set()
                    return

    def check(self) -> None:
        """Raises LEASE_LOST unless the lease is still ours. Call before anything that others can see."""
        # Not `lost`: callers set that event for other reasons, too.
        if not self.lease.still_mine():
            raise StoreError(
                Code.LEASE_LOST,
                f"another process took over {self.lease.path.stem}: this one was silent for too long",
                "Run the same command again; it waits for the other process or goes on from there.",
            )

    def release(self) -> None:
        self._stop.set()
        self._thread.join()
        self.lease.release()


class LeaseRoom:
    """Leases of one store, taken in the name of one identity."""

    def __init__(self, identity: Identity, timing: Timing, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.identity = identity
        self._timing = timing
        self._clock = clock

    @contextlib.contextmanager
    def hold(
        self,
        path: Path,
        *,
        what: str,
        wait_s: float,
        stop: threading.Event,
        lost: threading.Event | None = None,
        progress: Callable[[], Snapshot | None] = lambda: None,
        waiting: Callable[[Holder], None] = lambda _: None,
    ) -> Iterator[Held]:
        """The lease at `path`, waited for as long as `wait_s`.

        Raises StoreError LOCK_TIMEOUT naming the holder, or Cancelled when `stop` is set.
        """
        lease = self._wait_for(path, what, wait_s, stop, waiting)
        held = Held(lease, progress, self._timing.beat_s, lost or threading.Event())
        try:
            yield held
        finally:
            held.release()

    def try_hold(self, path: Path) -> Lease | None:
        """The lease if it is free or its holder is certainly dead; never waits and never beats."""
        lease = take(path, self.identity)
        if lease is not None:
            return lease
        holder = read(path)
        if holder is not None and self.identity.knows_dead(holder.identity) and evict(path, holder):
            return take(path, self.identity)
        return None

    def living(self, path: Path) -> Holder | None:
        """Who holds it, unless they are certainly dead."""
        holder = read(path)
        return None if holder is None or self.identity.knows_dead(holder.identity) else holder

    def _wait_for(
        self, path: Path, what: str, wait_s: float, stop: threading.Event, waiting: Callable[[Holder], None]
    ) -> Lease:
        deadline = self._clock() + wait_s
        silent = _Silence(self._clock)
        taken_over = False
        while True:
            lease = take(path, self.identity, taken_over=taken_over)
            if lease is not None:
                return lease
            holder = read(path)
            if holder is None:
                continue
            dead = self.identity.knows_dead(holder.identity)
            if (dead or silent.seconds(holder) > self._timing.ttl_s) and evict(path, holder):
                taken_over = not dead
                continue
            if self._clock() >= deadline:
                raise StoreError(
                    Code.LOCK_TIMEOUT,
                    f"{what} has been held by {holder.identity} for longer than {wait_s:.0f} s",
                    "Wait for that process, or give --wait more seconds.",
                )
            waiting(holder)
            if stop.wait(self._timing.poll_s):
                raise Cancelled


class _Silence:
    """How long a holder's beat has stood still, by our own clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._since = clock()

    def seconds(self, holder: Holder) -> float:
        now = (holder.inode, holder.beat)
        if now != self._seen:
            self._seen, self._since = now, self._clock()
        return self._clock() - self._since
