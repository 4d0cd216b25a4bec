"""What a person sees while the stack starts: each unit and its state, live on a terminal, one line per change elsewhere."""

import sys
import time
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from warmlane_devstack.stack.unit import State

MARKS = {
    State.WAITING: ("·", "dim"),
    State.PREPARING: ("…", "cyan"),
    State.STARTING: ("…", "cyan"),
    State.READY: ("✓", "green"),
    State.RESTARTING: ("↻", "yellow"),
    State.FAILED: ("✗", "red"),
    State.STOPPING: ("…", "yellow"),
    State.STOPPED: ("·", "dim"),
}


class Progress(Protocol):
    """Told of every change; `close` when there is nothing more to watch."""

    def changed(self, name: str, state: State, detail: str) -> None: ...

    def close(self) -> None: ...


class LiveProgress:
    """A line per unit that changes in place, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self._states: dict[str, tuple[State, float]] = {}
        self._began = time.monotonic()
        self._spinner = Spinner("dots", text="starting")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=10, transient=True)
        self._live.start()

    def changed(self, name: str, state: State, detail: str) -> None:  # noqa: ARG002  # one shape for all
        self._states[name] = (state, time.monotonic() - self._began)

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> RenderableType:
        self._spinner.update(text=f"starting, {time.monotonic() - self._began:.1f} s")
        return Group(*(self._line(name) for name in self._states), self._spinner)

    def _line(self, name: str) -> Text:
        state, at = self._states[name]
        mark, colour = MARKS[state]
        seconds = f"{at:5.1f} s" if state is State.READY else ""
        return Text.assemble((f"  {mark} ", colour), f"{name:<20}", (f"{state:<10} {seconds}", "dim"))


class LineProgress:
    """For logs and CI: one line when something is ready, restarts or fails."""

    SAID = frozenset({State.READY, State.RESTARTING, State.FAILED})

    def __init__(self) -> None:
        self._began = time.monotonic()

    def changed(self, name: str, state: State, detail: str) -> None:  # noqa: ARG002  # one shape for all
        if state in self.SAID:
            print(f"  {name}: {state} at {time.monotonic() - self._began:.1f} s", flush=True)

    def close(self) -> None:
        """Nothing is held."""


def progress_for(console: Console) -> Progress:
    return LiveProgress(console) if console.is_terminal and sys.stdout.isatty() else LineProgress()
