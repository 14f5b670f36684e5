"""On a projector nothing is smaller than 18 pixels, and nothing leaves the page."""

from __future__ import annotations

import pytest
from opening import LONG, look_at_the_first, open_page, rank_conditions, teach_biscuits
from playwright.sync_api import Page, expect
from test_access import TOO_WIDE

LEAST = 17.9  # 18, less what a browser rounds away

#: letters smaller than that, by where they are
SMALL = """
(least) => {
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (['SCRIPT', 'STYLE', 'OPTION'].includes(e.tagName) || !e.checkVisibility()) continue;
    const field = e.tagName === 'INPUT' && ['text', 'number'].includes(e.type) && e.value;
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
    const box = e.getBoundingClientRect();
    if (!(own || field) || box.width < 2 || box.height < 2) continue;
    let size = parseFloat(getComputedStyle(e).fontSize);
    if (e instanceof SVGElement && e.getScreenCTM) {
      const {a, b} = e.getScreenCTM();
      size *= Math.hypot(a, b);
    } else size *= e.currentCSSZoom ?? 1;
    // 0: a button whose word is drawn as a sign
    if (size > 0 && size < least) found.push(`${size.toFixed(1)} ${e.outerHTML.slice(0, 120)}`);
  }
  return found;
}
"""


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768)])
def test_everything_is_large_and_whole_on_a_projector(
    page: Page, watch, width: int, height: int, app_address
) -> None:
    watch.follow(page)
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, f"{app_address}?projector=1")
    found = {}

    def look(name: str) -> None:
        page.wait_for_timeout(1200)
        found[name] = page.evaluate(SMALL, LEAST) + page.evaluate(TOO_WIDE)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.locator("#tour-begin").click()
    teach_biscuits(page)
    look("Teach")
    page.locator("#tour-leave").click()
    page.get_by_role("tab", name="Compare", exact=True).click()
    for method in ("Linear probe", "Learned prompt, class-specific"):
        page.locator("#compare-methods").get_by_label(method, exact=True).uncheck()
    page.locator("#compare-go").click()
    page.locator("#compare-verdict .cs-headline").wait_for(timeout=LONG)
    expect(page.locator("#compare-go")).to_be_enabled(timeout=LONG)
    look("Compare")
    page.get_by_role("tab", name="Rank", exact=True).click()
    rank_conditions(page)
    look("Rank")
    page.get_by_role("tab", name="Look", exact=True).click()
    look_at_the_first(page)
    look("Look")
    assert {where: what for where, what in found.items() if what} == {}
    page.locator("[data-projector]").click()
    expect(page.locator("html.cs-projector")).to_have_count(0)
