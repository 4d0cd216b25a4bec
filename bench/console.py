"""How soon a task made in one tab of the console shows in another, in milliseconds: from the request to the page."""

import json
import sys
import urllib.request
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page
from report import Figure, quantile
from stack import Stack, running_stack
from warmlane_testkit.browser import MISSING, chromium, open_browser

TASKS = 30
WATCH = """
window.seenAt = {};
new MutationObserver(() => {
    for (const card of document.querySelectorAll("article[data-task]"))
        window.seenAt[card.getAttribute("aria-label")] ??= performance.timeOrigin + performance.now();
}).observe(document.body, {childList: true, subtree: true, attributes: true});
"""
ASK = """async prompt => {
    const began = performance.timeOrigin + performance.now();
    await fetch("/generate", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({model: "phr00t", prompt, width: 64, height: 64, num_frames: 5}),
    });
    return began;
}"""


def main() -> int:
    path = chromium()
    if path is None:
        print(MISSING, file=sys.stderr)
        return 1
    with running_stack() as stack, open_browser(path) as browser:
        one, other = opened(browser, stack), opened(browser, stack)
        other.evaluate(WATCH)
        took = sorted(seen_after(one, other, f"task {number}") for number in range(TASKS))
    Figure("console_second_tab_p50", quantile(took, 0.5), "ms", TASKS, "goal", 1000.0).keep()
    Figure("console_second_tab_max", took[-1], "ms", TASKS, "goal", 1000.0).keep()
    return 0


def opened(browser: Browser, stack: Stack) -> Page:
    """Sign in with a browser of its own."""
    request = urllib.request.Request(f"{stack.url}/auth/links", method="POST", headers={"X-API-Key": stack.api_key})
    with urllib.request.urlopen(request, timeout=10) as answer:
        path = json.load(answer)["path"]
    page = browser.new_page()
    page.goto(urljoin(stack.url, path))
    page.wait_for_selector("#prompt")
    return page


def seen_after(one: Page, other: Page, prompt: str) -> float:
    began = one.evaluate(ASK, prompt)
    other.wait_for_function("prompt => window.seenAt[prompt]", arg=prompt)
    return float(other.evaluate("prompt => window.seenAt[prompt]", prompt) - began)


if __name__ == "__main__":
    sys.exit(main())
