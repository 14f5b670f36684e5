"""Everybody can use the page: axe finds nothing on it, and no name breaks its layout."""

from __future__ import annotations

from importlib.resources import files

import pytest
from opening import open_page
from playwright.sync_api import Page

LONG = 60_000  # ms: a busy computer is slow, not wrong
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
SCHEMES = ("light", "dark")

#: gradio's own markup, which we cannot change: (rule, a part of the element's HTML)
NOT_OURS: tuple[tuple[str, str], ...] = ()

FINDINGS = """
async () => {
  const found = await axe.run(document, {resultTypes: ['violations']});
  return found.violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .flatMap(v => v.nodes.map(n => [v.id, n.html.slice(0, 260), n.target.join(' ').slice(0, 200),
      (n.any[0] || n.all[0] || n.none[0] || {}).message || '']));
}
"""


def findings(page: Page) -> list[list[str]]:
    page.evaluate(AXE)
    return [
        found
        for found in page.evaluate(FINDINGS)
        if not any(rule == found[0] and part in found[1] for rule, part in NOT_OURS)
    ]


def opened(page: Page, watch, scheme: str, address: str) -> None:
    watch.follow(page)
    page.emulate_media(color_scheme=scheme)
    open_page(page, address)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(700)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(page: Page, watch, scheme: str, app_address) -> None:
    opened(page, watch, scheme, app_address)
    found = {"empty Teach": findings(page)}
    for tab in ("Compare", "Rank", "Look"):
        open_tab(page, tab)
        found[f"empty {tab}"] = findings(page)

    open_tab(page, "Teach")
    page.locator("#sample-biscuits").click()
    page.locator("#settings > button").click()
    page.locator("#steps input").fill("10")
    page.locator("#steps input").blur()
    page.locator("#train").click()
    page.locator("#result .cs-verdict").wait_for(timeout=LONG)
    page.locator("#surprise").click()
    page.locator("#bars .cs-tried").wait_for(timeout=LONG)
    page.locator("#model-status summary").click()
    page.wait_for_timeout(1000)
    found["Teach"] = findings(page)
    open_tab(page, "Rank")
    page.locator("#rank-conditions").click()
    page.locator("#rank-clickable img").first.wait_for(timeout=LONG)
    page.locator("#rank-go").click()
    page.locator("#rank-gallery img").first.wait_for(timeout=LONG)
    for part in ("slope", "rivals", "scores", "pairs"):
        page.locator(f"#rank-{part}-fold > button").click()
    page.wait_for_timeout(2500)
    found["Rank"] = findings(page)
    open_tab(page, "Look")
    page.locator("#look-gallery button").first.click()
    page.locator("#look-check .cs-verdict").first.wait_for(timeout=LONG)
    page.wait_for_timeout(1000)
    found["Look"] = findings(page)
    lines = [f"{where}: {' | '.join(one)}" for where, what in found.items() for one in what]
    assert not lines, "\n".join(lines)
