"""Opening the page, waiting until it is ready, and asking axe about it."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Page

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#model-status summary").wait_for()


#: gradio's own markup, which we cannot change: (rule, a part of the element's HTML)
NOT_OURS = (
    ("nested-interactive", 'aria-label="Click to Upload"'),  # a Gallery's toolbar
    ("button-name", '<button class="svelte-'),  # around the picture of an Image
    ("aria-prohibited-attr", 'aria-label="Static column"'),  # a lock in a Dataframe's head
)

FINDINGS = """
async () => {
  const found = await axe.run(document, {resultTypes: ['violations']});
  return found.violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .flatMap(v => v.nodes.map(n => [v.id, n.html.slice(0, 260), n.target.join(' ').slice(0, 200),
      (n.any[0] || n.all[0] || n.none[0] || {}).message || '']));
}
"""


PALE = """
() => [...document.querySelectorAll('.pending, #bars, #bars *')].some(
  e => e.getClientRects().length && getComputedStyle(e).opacity < 1)
"""


def settle(page: Page) -> None:
    """Wait for answers: while one is on its way, gradio pales what it will replace."""
    at_rest = 0
    for _ in range(60):
        at_rest = 0 if page.evaluate(PALE) else at_rest + 1
        if at_rest == 3:
            return
        page.wait_for_timeout(400)


def findings(page: Page) -> list[list[str]]:
    settle(page)
    page.evaluate(AXE)
    return [
        found
        for found in page.evaluate(FINDINGS)
        if not any(rule == found[0] and part in found[1] for rule, part in NOT_OURS)
    ]
