"""The console in a real browser on the whole stack: what people do with it, from the sign-in link to the timeline."""

import io
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from warmlane_testkit.browser import MISSING, chromium, open_browser

WEB = Path(__file__).resolve().parents[2] / "services" / "gateway" / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
MADE_MS = 90_000
SMALL = {"Width": "64", "Height": "64", "Frames": "9"}
SLOW = {"Width": "256", "Height": "256", "Frames": "81"}
PAGES = ("", "gallery", "lanes", "investigate", "compare")

expect.set_options(timeout=15_000)
pytestmark = [
    pytest.mark.skipif(not (WEB / "dist" / "index.html").exists(), reason="the console is not built: make console"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip(MISSING)
    with open_browser(path) as started:
        yield started


@pytest.fixture
def sign_in(stack) -> Callable[[Page], None]:
    """Return a function that opens the console in a page by a sign-in link."""

    def opened(page: Page) -> None:
        page.goto(stack.facts["url"] + stack.client.post("/auth/links").json()["path"])
        expect(page.get_by_role("heading", name="Make a clip")).to_be_visible()

    return opened


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.fixture
def page(context, sign_in) -> Iterator[Page]:
    """Return a signed-in page; the test fails when anything in it does."""
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    sign_in(opened)
    yield opened
    assert faults == []


def png(colour: str, size: tuple[int, int] = (96, 72)) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return {"name": f"{colour}.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def fill(page: Page, prompt: str, fields: dict[str, str] = SMALL) -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)
    for label, value in fields.items():
        page.get_by_label(re.compile(f"^{label}")).fill(value)


def make(page: Page, prompt: str, fields: dict[str, str] = SMALL) -> None:
    fill(page, prompt, fields)
    page.get_by_role("button", name="Make the clip").click()


def card(page: Page, prompt: str) -> Any:
    return page.get_by_role("article", name=prompt)


def available_modes(models: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(model, mode) for model in models for mode in model["modes"] if mode["available"]]


def test_nobody_gets_in_without_a_link_and_a_link_works_once(stack, browser) -> None:
    path = stack.client.post("/auth/links").json()["path"]
    with browser.new_context() as one, browser.new_context() as other:
        page = one.new_page()
        page.goto(stack.facts["url"])
        expect(page.get_by_role("heading", name="Sign in to Warmlane")).to_be_visible()
        page.get_by_label("Or paste the link here").fill(stack.facts["url"] + path)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Make a clip")).to_be_visible()
        late = other.new_page()
        late.goto(stack.facts["url"] + path)
        expect(late.get_by_role("alert")).to_contain_text("has been used")
        assert "#" not in late.url
        assert page.evaluate("document.cookie") == ""
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert not re.search(r"wl_|gg_|[\w-]{43}", kept), kept
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in to Warmlane")).to_be_visible()


def test_a_clip_in_each_mode(stack, page) -> None:
    models = stack.client.get("/models").json()["models"]
    for model, mode in available_modes(models):
        prompt = f"{model['title']}, {mode['title']}"
        page.get_by_role("radio", name=model["title"]).check(force=True)
        page.get_by_role("radio", name=mode["title"], exact=True).check(force=True)
        for index, slot in enumerate(mode["images"]):
            page.get_by_label(f"{slot['title']}: choose a file").set_input_files([png("red" if index else "blue")])
            expect(page.get_by_alt_text(f"{slot['title']} 1")).to_be_visible()
        make(page, prompt)
        expect(card(page, prompt)).to_have_attribute("data-status", "done", timeout=MADE_MS)
        page.get_by_role("button", name="Start over").click()
    for locked in (one for model in models[-1:] for one in model["parameters"] if one["locked"]):
        field = page.get_by_label(re.compile(f"^{locked['title']}"))
        expect(field).not_to_be_editable()
        expect(field).to_have_value(f"{locked['default']:g}")
        expect(page.get_by_text(locked["reason"])).to_be_visible()


def test_progress_is_live_in_every_tab_survives_a_reload_and_can_be_cancelled(stack, context, page, sign_in) -> None:
    other = context.new_page()
    sign_in(other)
    page.get_by_role("radio", name="Phr00t").first.check(force=True)
    make(page, "a slow one", SLOW)
    expect(card(other, "a slow one")).to_be_visible()
    expect(card(page, "a slow one")).to_have_attribute("data-status", "processing")
    expect(card(page, "a slow one").get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")
    before = int(card(page, "a slow one").get_by_role("progressbar").get_attribute("aria-valuenow") or 0)
    page.reload()
    after = card(page, "a slow one").get_by_role("progressbar")
    expect(after).to_be_visible()
    assert int(after.get_attribute("aria-valuenow") or 0) >= before
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a slow one")
    card(page, "a slow one").get_by_role("button", name="Cancel").click()
    for tab in (page, other):
        expect(card(tab, "a slow one")).to_have_attribute("data-status", "cancelled")
    assert stack.client.get("/tasks", params={"text": "a slow one"}).json()["items"][0]["status"] == "cancelled"


def test_many_tabs_share_one_stream_whichever_is_closed(stack, context, page, sign_in) -> None:
    # A browser opens six connections to a host: with a stream for each tab the seventh would never load.
    tabs = [page]
    for _ in range(7):
        tabs.append(context.new_page())
        sign_in(tabs[-1])
    stack.make(model="phr00t", prompt="seen by all")
    for tab in tabs:
        expect(card(tab, "seen by all").first).to_be_visible()
    for tab in tabs[1:5]:
        tab.close()
    page.goto("about:blank")
    stack.make(model="phr00t", prompt="seen by those who stayed")
    for tab in tabs[5:]:
        expect(card(tab, "seen by those who stayed").first).to_be_visible()


def test_a_gateway_that_dies_is_waited_for(stack, page) -> None:
    expect(page.get_by_text("Loading your clips")).to_be_hidden()
    os.kill(stack.pid("gateway"), signal.SIGKILL)
    expect(page.get_by_text("The connection to the gateway is lost")).to_be_visible()
    expect(page.get_by_text("The connection to the gateway is lost")).to_be_hidden(timeout=30_000)
    stack.make(model="phr00t", prompt="after the gateway came back")
    expect(card(page, "after the gateway came back")).to_be_visible()


def test_what_is_wrong_is_said_at_its_field(stack, page) -> None:
    page.get_by_role("button", name="Make the clip").click()
    expect(page.get_by_text("Write something here.")).to_be_visible()
    fill(page, "x", {"Width": "1280", "Height": "1280"})
    page.get_by_role("button", name="Make the clip").click()
    expect(page.get_by_text("pixels a frame are too many")).to_be_visible()
    page.get_by_label(re.compile("^Width")).fill("99999")
    page.get_by_role("button", name="Make the clip").click()
    expect(page.get_by_text(re.compile(r"\d+ at most\."))).to_be_visible()
    assert stack.client.get("/tasks", params={"text": "x", "status": "pending"}).json()["items"] == []


def test_a_refusal_of_the_gateway_is_said_at_its_field(context, stack, page) -> None:
    def permissive(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        for model in body["models"]:
            for parameter in model["parameters"]:
                parameter["maximum"] = None
        route.fulfill(response=answer, json=body)

    page.route("**/models", permissive)
    page.reload()
    page.get_by_role("radio", name="Text to video").check(force=True)
    make(page, "refused", {"Frame rate": "9000"})
    expect(page.get_by_role("alert")).to_contain_text("The request is not valid: fps")
    expect(page.get_by_text("9000 is not allowed")).to_be_visible()


def test_a_full_queue_is_explained_and_tried_again_and_a_switched_lane_is_seen(stack, page) -> None:
    page.get_by_role("link", name="Lanes", exact=True).click()
    lane = page.get_by_role("region", name="Lane phr00t")
    try:
        lane.get_by_role("radio", name="Degraded").check(force=True)
        expect(lane.get_by_text("manual", exact=True)).to_be_visible()
        expect(page.get_by_role("cell", name="fallback activated").first).to_be_visible()
        crowd = fill_the_queue(stack)
        expect(page.get_by_role("progressbar", name="Places taken")).to_have_attribute(
            "aria-valuenow", re.compile("2[0-5]")
        )
        page.get_by_role("link", name=re.compile("^Create")).click()
        page.get_by_role("radio", name="Phr00t").first.check(force=True)
        expect(page.get_by_text("Shared worker.")).to_be_visible()
        told = submit_into_a_full_queue(stack, page, "one too many", crowd)
        expect(told).to_contain_text(re.compile(r"sent again in \d+ s"))
        for task_id in crowd:
            stack.client.post(f"/tasks/{task_id}/cancel")
        # By itself it would be sent again once the time has passed (the form's own tests); nobody has to wait for that.
        told.get_by_role("button", name="Try now").click()
        expect(card(page, "one too many").first).to_contain_text("shared worker", timeout=MADE_MS)
        expect(card(page, "one too many").first).to_have_attribute("data-status", "done", timeout=MADE_MS)
    finally:
        stack.client.post("/lanes/phr00t/mode", json={"mode": "auto"})
    page.get_by_role("link", name="Lanes", exact=True).click()
    expect(lane.get_by_text("dedicated", exact=True)).to_be_visible()


def fill_the_queue(stack) -> list[str]:
    """Ask for slow clips until one is refused; return those that were taken."""
    taken: list[str] = []
    asked = {"model": "phr00t", "prompt": "crowd", "width": 256, "height": 256, "num_frames": 81}
    while True:
        answer = stack.client.post("/generate", json=asked, headers={"Prefer": "respond-async"})
        if answer.status_code == 503:
            return taken
        taken.append(answer.json()["task_id"])


def submit_into_a_full_queue(stack, page: Page, prompt: str, crowd: list[str]) -> Any:
    """Submit from the console until it is refused: whenever a worker takes a clip, a place is free for a moment."""
    told = page.get_by_role("alert")
    for _ in range(5):
        crowd += fill_the_queue(stack)
        make(page, prompt)
        page.get_by_text(re.compile("The queue is full|Your clip is on its way")).first.wait_for()
        if told.is_visible():
            break
        expect(page.get_by_text("Your clip is on its way")).to_be_hidden()
    expect(told).to_contain_text("The queue is full")
    return told


def test_a_finished_clip_is_played_repeated_continued_and_compared(stack, page) -> None:
    first = stack.done(model="phr00t", prompt="a red kite", seed=7)
    page.goto(f"{stack.facts['url']}/app/tasks/{first['task_id']}")
    video = page.get_by_label("Clip: a red kite")
    expect(video).to_be_visible()
    page.wait_for_function("document.querySelector('video').videoWidth === 64")
    assert video.evaluate("video => video.loop")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == stack.clip(first)
    page.get_by_role("button", name="Again, same seed").click()
    page.wait_for_url(lambda url: first["task_id"] not in url)
    expect(page.get_by_label("Clip: a red kite")).to_be_visible(timeout=MADE_MS)
    again = page.url.rsplit("/", 1)[-1]
    assert stack.clip(stack.client.get(f"/status/{again}").json()) == stack.clip(first)
    page.goto(f"{stack.facts['url']}/app/compare?a={first['task_id']}&b={again}")
    expect(page.get_by_text("The settings are the same.")).to_be_visible()
    page.get_by_role("button", name="One frame on").click()
    page.goto(f"{stack.facts['url']}/app/tasks/{first['task_id']}")
    page.get_by_role("button", name="Continue from the last frame").click()
    expect(page.get_by_role("heading", name="Make a clip")).to_be_visible()
    expect(page.get_by_role("radio", name="Image to video")).to_be_checked()
    expect(page.get_by_alt_text("Reference image 1")).to_be_visible()
    expect(page.get_by_label("Seed")).to_have_value("7")


def test_a_picture_is_cropped_to_the_clips_shape(stack, page) -> None:
    page.get_by_role("radio", name="AniSora").first.check(force=True)
    page.get_by_role("radio", name="Image to video").check(force=True)
    page.get_by_label("Reference image: choose a file").set_input_files([png("green", (200, 100))])
    page.get_by_role("button", name="Crop Reference image 1").click()
    page.get_by_role("slider", name="Zoom").fill("2")
    page.get_by_role("dialog").get_by_role("button", name="Crop", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    shape = page.get_by_alt_text("Reference image 1").evaluate(
        "i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])"
    )
    assert shape == [50, 50]


def test_the_gallery_filters_deletes_with_a_way_back_and_tells_other_tabs(stack, context, page, sign_in) -> None:
    for number in range(2):
        stack.done(model="phr00t", prompt=f"gallery piece {number}")
    other = context.new_page()
    sign_in(other)
    for tab in (page, other):
        tab.get_by_role("link", name="Gallery", exact=True).click()
        tab.get_by_label("Words of the prompt").fill("gallery piece")
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("listitem")).to_have_count(2)
    page.get_by_label("Choose gallery piece 0").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("listitem")).to_have_count(2)
    page.get_by_label("Choose gallery piece 0").check()
    page.get_by_role("button", name="Delete").click()
    expect(other.get_by_role("listitem")).to_have_count(1)
    left = stack.client.get("/gallery", params={"text": "gallery piece"}).json()["items"]
    assert [task["prompt"] for task in left] == ["gallery piece 1"]
    page.get_by_label("Words of the prompt").fill("no such clip")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No clip fits this filter")).to_be_visible()


def test_a_task_is_found_and_its_life_is_told(stack, page) -> None:
    task = stack.done(model="anisora", prompt="to be found", reference_image=data_uri("red"))
    page.get_by_role("link", name="Investigate", exact=True).click()
    page.get_by_label("Task id begins with").fill(task["task_id"])
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("Lane", exact=True).select_option("phr00t")
    expect(page.get_by_text("No task fits this search")).to_be_visible()
    page.get_by_label("Lane", exact=True).select_option("anisora")
    page.get_by_role("link", name=task["task_id"][-8:]).click()
    for span in ("HTTP: accepted", "Queue: waiting for the lane", "Attempt 1", "Forming the clip", "Accepted result"):
        expect(page.get_by_role("cell", name=span)).to_be_visible()
    expect(page.get_by_text(task["trace_id"])).to_be_visible()


def test_the_keyboard_is_enough(page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    for key, heading in (("l", "Lanes"), ("g", "Gallery"), ("i", "Investigate"), ("c", "Make a clip")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    page.get_by_label("Prompt", exact=True).fill("by keyboard")
    page.keyboard.press("Control+Enter")
    expect(card(page, "by keyboard")).to_be_visible()


@pytest.mark.parametrize("light", ["light", "dark"])
def test_every_page_can_be_read_by_everybody(stack, browser, sign_in, light) -> None:
    task = stack.done(model="phr00t", prompt="a page to read")
    with browser.new_context(color_scheme=light, viewport={"width": 390, "height": 844}) as narrow:
        page = narrow.new_page()
        sign_in(page)
        for path in (*PAGES, f"tasks/{task['task_id']}"):
            page.goto(f"{stack.facts['url']}/app/{path}")
            expect(page.locator("h1")).to_be_visible()
            page.wait_for_load_state("load")
            found = page.evaluate(AXE.read_text("utf-8") + "; axe.run().then(found => found.violations)")
            serious = [
                f"{one['id']}: {one['nodes'][0]['html'][:200]}"
                for one in found
                if one["impact"] in {"serious", "critical"}
            ]
            assert serious == [], f"/app/{path}"
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"/app/{path} is {wide} pixels wide on a phone"


def data_uri(colour: str) -> str:
    import base64

    return "data:image/png;base64," + base64.b64encode(png(colour)["buffer"]).decode()
