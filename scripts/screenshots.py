"""Pictures of the console for the documentation, of a stack of its own: light, dark, and on a phone.

    python scripts/screenshots.py [FOLDER]     (docs/images by default)

The clips are those of the tiny models: noise of the right shape. A lane is killed and another is set aside, so that the
pictures show what an investigator looks for.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page
from warmlane_testkit.browser import MISSING, chromium, open_browser

ROOT = Path(__file__).resolve().parent.parent
WARMLANE = Path(sys.executable).with_name("warmlane")
PROMPTS = (
    "A paper boat drifts down a rainy street at night, neon in the puddles",
    "A fox runs through snow, slow motion, morning light",
    "Waves roll against a lighthouse, seen from above",
    "A train leaves a small station in autumn",
    "Lanterns rise over a lake, hand-held camera",
)
WIDE = {"width": 256, "height": 144, "num_frames": 17}
LONG = {"width": 256, "height": 256, "num_frames": 81}
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
QUALITY = 82
PATIENCE_S = 120


@contextmanager
def stack(folder: Path) -> Iterator[tuple[httpx.Client, dict[str, Any]]]:
    subprocess.run([WARMLANE, "up", "--detach", "--data", folder], check=True, stdout=subprocess.DEVNULL)
    try:
        facts = json.loads((folder / "run.json").read_text("utf-8"))
        with httpx.Client(base_url=facts["url"], headers={"X-API-Key": facts["api_key"]}, timeout=60) as client:
            yield client, facts
    finally:
        subprocess.run([WARMLANE, "down", "--data", folder], check=True, stdout=subprocess.DEVNULL)


def make(client: httpx.Client, prompt: str, **changes: Any) -> str:  # noqa: ANN401 - a request's body
    body = {"model": "phr00t", "prompt": prompt, **WIDE, **changes}
    return str(client.post("/generate", json=body).raise_for_status().json()["task_id"])


def wait(client: httpx.Client, task_id: str, *wanted: str, progress: int = 0) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        task: dict[str, Any] = client.get(f"/status/{task_id}").raise_for_status().json()
        if task["status"] in wanted and task["progress"] >= progress:
            return task
        time.sleep(0.1)
    message = f"{task_id} was not {' or '.join(wanted)} within {PATIENCE_S} s"
    raise TimeoutError(message)


def scene(client: httpx.Client, folder: Path) -> str:
    """Make what the pictures show; return the task whose first worker was killed."""
    for number, prompt in enumerate(PROMPTS):
        wait(client, make(client, prompt, seed=number), "done")
    rescued = make(client, "A kite over a beach, wide shot", **LONG)
    wait(client, rescued, "processing", progress=20)
    facts = json.loads((folder / "run.json").read_text("utf-8"))
    os.kill(facts["processes"]["lane-phr00t"]["pid"], signal.SIGKILL)
    wait(client, rescued, "done")
    client.post("/lanes/anisora/mode", json={"mode": "degraded", "reason": "manual"}).raise_for_status()
    return rescued


def shoot(page: Page, folder: Path, name: str, *, whole: bool = False) -> None:
    page.wait_for_timeout(1500)  # pictures and charts come after the page
    page.evaluate("window.scrollTo(0, 0)")
    path = folder / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY, full_page=whole, animations="disabled")
    print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def open_console(browser: Browser, client: httpx.Client, url: str, light: str, size: dict[str, int]) -> Page:
    context = browser.new_context(viewport=size, color_scheme=light, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url + client.post("/auth/links").json()["path"])
    page.wait_for_selector("#prompt")
    return page


def main() -> int:
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "docs" / "images"
    target.mkdir(parents=True, exist_ok=True)
    path = chromium()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, open_browser(path) as browser:
        data = Path(folder) / "data"
        with stack(data) as (client, facts):
            url = facts["url"]
            rescued = scene(client, data)
            for light in ("light", "dark"):
                page = open_console(browser, client, url, light, DESK)
                running = make(client, "A city of glass at dusk, drone shot", **LONG)
                page.fill("#prompt", PROMPTS[0])
                wait(client, running, "processing", progress=40)
                shoot(page, target, f"create-{light}")
                client.post(f"/tasks/{running}/cancel")
                for place, whole in (("gallery", False), ("lanes", False), ("investigate", False)):
                    page.goto(f"{url}/app/{place}")
                    shoot(page, target, f"{place}-{light}", whole=whole)
                page.goto(f"{url}/app/tasks/{rescued}")
                shoot(page, target, f"task-{light}", whole=True)
                page.context.close()
            page = open_console(browser, client, url, "light", PHONE)
            for place in ("", "gallery", "lanes"):
                page.goto(f"{url}/app/{place}")
                shoot(page, target, f"{place or 'create'}-phone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
