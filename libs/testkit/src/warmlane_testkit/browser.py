"""A real browser for tests: the system's Chromium, driven by Playwright.

Playwright's own download is not used: the system's package is patched with the system. `chromium()` finds it, and installs
it where that needs nobody's leave (root on Debian or Ubuntu, as on CI); `None` says that it is missing.

    python -m warmlane_testkit.browser     have it ready, before tests that may not take so long
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium on this machine: install it (Debian, Ubuntu: apt install chromium)"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
_INSTALL_S = 300


def chromium() -> str | None:
    """Return the path of a Chromium, None when there is none and none could be installed."""
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("chromium: installing", flush=True)  # noqa: T201 - it takes a while
        apt = [
            "apt-get",
            "install",
            "-y",
            "-q",
            "chromium",
        ]  # with the fonts it recommends: without any, nothing is seen
        settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = None
        for command in (["apt-get", "update", "-q"], apt):
            done = subprocess.run(  # noqa: S603 - fixed words
                command, env=settings, capture_output=True, timeout=_INSTALL_S, check=False
            )
        found = _found() if done is not None and done.returncode == 0 else None
    return found


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_browser(path: str) -> Iterator["Browser"]:
    """Start the browser; it is gone after the block."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where a browser is wanted

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    print(f"chromium: {chromium() or MISSING}")  # noqa: T201 - a command's answer
