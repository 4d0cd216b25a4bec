"""Follow one task until it is done, failed or cancelled, through broken connections.

The event stream is resumed with Last-Event-ID; what cannot be reached for GIVE_UP_AFTER_S ends the following, not the task.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.exits import CommandFailed, Exit

FINAL = frozenset({"done", "failed", "cancelled"})
GIVE_UP_AFTER_S = 60.0
FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 5.0

Status = dict[str, Any]
T = TypeVar("T")


def follow(gateway: Gateway, status: Status, *, pause: Callable[[float], None] = time.sleep) -> Iterator[Status]:
    """Yield the task's status at each change; the last one is final. `status`: what is known of the task so far."""
    task_id = status["task_id"]
    last_id: str | None = None
    heard, wait = time.monotonic(), FIRST_PAUSE_S
    yield status
    while status["status"] not in FINAL:
        try:
            for event_id, data in gateway.events(f"/status/{task_id}/events", last_id):
                last_id, heard, wait = event_id or last_id, time.monotonic(), FIRST_PAUSE_S
                if "status" in data:
                    status = data
                    yield status
        except (httpx.TransportError, CommandFailed) as error:
            if lasting(error) or time.monotonic() - heard > GIVE_UP_AFTER_S:
                raise lost(task_id, error) from error
        if status["status"] not in FINAL:
            pause(wait)
            wait = min(wait * 2, MAX_PAUSE_S)


def patiently(work: Callable[[], T], *, pause: Callable[[float], None] = time.sleep) -> T:
    """Do `work` on a task that is known to be there; a gateway that is away for a moment may come back."""
    began, wait = time.monotonic(), FIRST_PAUSE_S
    while True:
        try:
            return work()
        except CommandFailed as error:
            if error.exit_code is not Exit.NETWORK or time.monotonic() - began > GIVE_UP_AFTER_S:
                raise
        pause(wait)
        wait = min(wait * 2, MAX_PAUSE_S)


def lasting(error: Exception) -> bool:
    """Whether trying again is no use."""
    return isinstance(error, CommandFailed) and error.exit_code not in {Exit.NETWORK, Exit.OVERLOADED, Exit.FAILED}


def lost(task_id: str, error: Exception) -> CommandFailed:
    if isinstance(error, CommandFailed):
        return error
    message = (
        f"lost sight of the task ({str(error) or type(error).__name__}); it goes on: warmlane tasks watch {task_id}"
    )
    return CommandFailed(message, Exit.NETWORK)


def watch(gateway: Gateway, status: Status, *, title: str, quiet: bool) -> Status:
    """Follow with a progress bar on standard error, and return the final status."""
    task_id = status["task_id"]
    console = Console(stderr=True, quiet=quiet)
    with bar(console) as progress:
        shown = progress.add_task(title, total=100, note="", stage="pending")
        try:
            for latest in follow(gateway, status):
                status = latest
                show(progress, shown, status)
        except KeyboardInterrupt:
            progress.stop()
            console.print(f"\nThe task goes on. Watch it:  warmlane tasks watch {task_id}", highlight=False)
            console.print(f"                 Cancel it: warmlane tasks cancel {task_id}", highlight=False)
            raise
    return status


def bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[stage]}"),
        TextColumn("{task.fields[note]}", style="dim"),
        TimeElapsedColumn(),
        console=console,
    )


def show(progress: Progress, shown: TaskID, status: Status) -> None:
    progress.update(
        shown,
        completed=100 if status["status"] == "done" else status.get("progress") or 0,
        stage=status["status"] if status["status"] in FINAL else status.get("stage") or status["status"],
        note=note(status),
    )


def note(status: Status) -> str:
    """What is worth knowing beside the bar: the place in the queue while waiting, the step while working."""
    if status["status"] == "pending" and status.get("queue_position") is not None:
        eta = f", about {status['eta_s']:.0f} s" if status.get("eta_s") is not None else ""
        return f"place {status['queue_position']} in the queue{eta}"
    if status["status"] == "processing" and status.get("steps"):
        return f"step {status.get('step', 0)} of {status['steps']}"
    return ""


def check_done(status: Status) -> None:
    """Raise the failure that a final status other than done means."""
    if status["status"] == "done":
        return
    error = status.get("error") or {}
    detail = error.get("message") or error.get("detail") or f"the task was {status['status']}"
    problem = {
        "task_id": status.get("task_id"),
        "status": status["status"],
        "code": error.get("code"),
        "detail": detail,
    }
    raise CommandFailed(f"task {status.get('task_id')} {status['status']}: {detail}", problem=problem)
