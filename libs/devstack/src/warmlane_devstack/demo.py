"""`make demo`: one clip from each lane, through everything, from nothing.

    start the stack (or use the one that runs) ─► one AniSora and one Phr00t clip, side by side ─► out/ ─► stop it again

Any failure is one line and exit code 1.
"""

import base64
import concurrent.futures
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from warmlane_devstack.cli.follow import bar, check_done, follow, patiently, show
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.cli.generate import submit
from warmlane_devstack.exits import CommandFailed
from warmlane_devstack.picture import sunset
from warmlane_devstack.stack.datadir import DataDir
from warmlane_devstack.stack.detached import start_detached, stop_running
from warmlane_devstack.stack.progress import progress_for
from warmlane_devstack.stack.runfile import Running
from warmlane_devstack.stack.workspace import Workspace

PICTURE_SIZE = (256, 160)


@dataclass(frozen=True)
class Clip:
    """One request of the demo."""

    name: str
    title: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What came of it."""

    clip: Path
    preview: Path
    size: int
    seconds: float
    trace_id: str | None


def main() -> int:
    console = Console()
    workspace = Workspace.of_this_environment()
    try:
        demo(console, workspace)
    except (CommandFailed, OSError) as error:
        console.print(f"[red]demo failed:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("demo stopped")
        return 1
    return 0


def demo(console: Console, workspace: Workspace) -> None:
    own = DataDir(workspace.data).holder() is None
    try:
        if own:
            console.print("Starting NATS, PostgreSQL, S3, the gateway and two lanes on this machine")
            seconds = start_detached(["--data", str(workspace.data)], progress_for(console))
            console.print(f"[green]ready[/] after {seconds:.1f} s")
        made = generate(console, workspace)
    finally:
        if own:
            stop_running(workspace.data)
    console.print()
    for each in made:
        report(console, each)
    console.print(
        "\nThe weights of this demo are untrained (random, under 1 MB): the pictures are texture, not scenes.\n"
        "All else is real: requests, queue, pipelines, schedulers, encoding, storage. "
        "Real weights: make up ARGS='--engine real --models-root DIR'",
        soft_wrap=True,
    )


def clips(reference: Path) -> tuple[Clip, Clip]:
    picture = "data:image/png;base64," + base64.b64encode(reference.read_bytes()).decode()
    prompt = "sunset over the sea, slow waves, a paper boat drifts by"
    image = {"model": "anisora", "mode": "i2v", "prompt": prompt, "reference_image": picture}
    text = {"model": "phr00t", "mode": "t2v", "prompt": prompt}
    return Clip("anisora", "AniSora  picture to video", image), Clip("phr00t", "Phr00t   text to video", text)


def generate(console: Console, workspace: Workspace) -> list[Made]:
    """Make both clips at once: each lane has its own engine."""
    out = workspace.root / "out"
    out.mkdir(exist_ok=True)
    reference = out / "reference.png"
    reference.write_bytes(sunset(*PICTURE_SIZE))
    running = Running.read(workspace.data)
    if running is None:
        message = "the stack is gone; see .warmlane/logs"
        raise CommandFailed(message)
    with Gateway(running.text("url") or "", running.text("api_key")) as gateway, bar(console) as progress:
        wanted = clips(reference)
        with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
            work = [pool.submit(make, gateway, clip, out, progress) for clip in wanted]
            return [done.result() for done in work]


def make(gateway: Gateway, clip: Clip, out: Path, progress: Progress) -> Made:
    began = time.monotonic()
    shown = progress.add_task(clip.title, total=100, note="", stage="pending")
    status, trace_id = submit(gateway, clip.body, None)
    task_id = status["task_id"]
    for latest in follow(gateway, status):
        status = latest
        show(progress, shown, status)
    check_done(status)
    target, preview = out / f"{clip.name}.mp4", out / f"{clip.name}.webp"
    size = patiently(lambda: gateway.download(f"/results/{task_id}", target))
    patiently(lambda: gateway.download(f"/preview/{task_id}", preview))
    return Made(target, preview, size, time.monotonic() - began, trace_id)


def report(console: Console, made: Made) -> None:
    shown = f"{made.clip.relative_to(made.clip.parent.parent)}"
    line = f"[bold]{shown}[/]  {made.size // 1024} KB, {made.seconds:.1f} s, preview {made.preview.name}"
    console.print(f"{line}, trace {made.trace_id}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
