"""Progress on a terminal: one bar for the model at hand, fed from Progress ten times a second.

rich is imported only where there is a terminal to draw on; in a pipe nothing is drawn and nothing is imported.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator

from warmlane_modelstore.transfer.progress import Phase, Progress, Snapshot

_INTERVAL_S = 0.1


@contextlib.contextmanager
def shown(progress: Progress, *, quiet: bool) -> Iterator[None]:
    """Draws `progress` on standard error while the block runs, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    drawing = threading.Thread(target=_draw, args=(progress, done), name="store-bars", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        done.set()
        drawing.join()


def _draw(progress: Progress, done: threading.Event) -> None:
    from rich.console import Console  # noqa: PLC0415 - see the story
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[file]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, file="")
        while not done.wait(_INTERVAL_S):
            now = progress.snapshot()
            bars.update(
                task, description=_words(now), completed=now.bytes_done, total=now.bytes_total or None, file=now.file
            )


def _words(now: Snapshot) -> str:
    if now.phase is Phase.WAITING and now.holder:
        return f"{now.model}: {now.holder} is at it"
    return f"{now.model}: {now.phase}"
