"""Opening the page, waiting until it is ready, and asking axe about it."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Page

LONG = 60_000  # ms: a busy computer is slow, not wrong
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


def teach_biscuits(page: Page) -> None:
    """On the tab Teach: a short training, its verdict, and a picture tried."""
    page.locator("#sample-biscuits").click()
    page.locator("#settings > button").click()
    page.locator("#steps input").fill("10")
    page.locator("#steps input").blur()
    page.locator("#train").click()
    page.locator("#result .cs-verdict").wait_for(timeout=LONG)
    page.locator("#surprise").click()
    page.locator("#bars .cs-tried").wait_for(timeout=LONG)


def rank_conditions(page: Page) -> None:
    """On the tab Rank: a sample in its order, everything unfolded."""
    page.locator("#rank-conditions").click()
    page.locator("#rank-clickable img").first.wait_for(timeout=LONG)
    page.locator("#rank-go").click()
    page.locator("#rank-gallery img").first.wait_for(timeout=LONG)
    for part in ("slope", "rivals", "scores", "pairs"):
        page.locator(f"#rank-{part}-fold > button").click()


def look_at_the_first(page: Page) -> None:
    """On the tab Look: the maps of a sample scene, and their check."""
    page.locator("#look-gallery button").first.click()
    page.locator("#look-check .cs-verdict").first.wait_for(timeout=LONG)
