"""Everybody can use the page: axe finds nothing on it, and no name breaks its layout."""

from __future__ import annotations

import pytest
from opening import LONG, findings, look_at_the_first, open_page, rank_conditions, teach_biscuits
from playwright.sync_api import Page, expect

from coop_demo.languages import teach as say

SCHEMES = ("light", "dark")


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
    teach_biscuits(page)
    page.locator("#model-status summary").click()
    page.wait_for_timeout(1000)
    found["Teach"] = findings(page)
    open_tab(page, "Rank")
    rank_conditions(page)
    page.wait_for_timeout(2500)
    found["Rank"] = findings(page)
    open_tab(page, "Look")
    look_at_the_first(page)
    page.wait_for_timeout(1000)
    found["Look"] = findings(page)
    lines = [f"{where}: {' | '.join(one)}" for where, what in found.items() for one in what]
    assert not lines, "\n".join(lines)


NAMES = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "شجرة البلوط الكبيرة في الحديقة القديمة خلف المدرسة",
    "עץ אלון",
    "W" * 60,
    "a name of a great many short words that goes on and on and on",
    "橡樹",
    "7",
    "oak",
    "ash",
    "elm",
)

#: what reaches beyond the page's edges and is not inside something that scrolls or clips
TOO_WIDE = """
() => [...document.querySelectorAll('main *')]
  .filter(e => e.offsetParent && e.getBoundingClientRect().width > 1)
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1
            || e.getBoundingClientRect().left < -1)
  .filter(e => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return false;
    return true;
  })
  .map(e => e.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("width", [390, 1280])
def test_ten_classes_with_long_and_right_to_left_names_stay_inside(
    page: Page, watch, width: int, pictures, app_address
) -> None:
    opened(page, watch, "light", app_address)
    page.locator("#sample-everyday").click()
    expect(page.get_by_label(say.class_label(10), exact=True)).to_be_visible(timeout=LONG)
    for number, name in enumerate(NAMES, start=1):
        field = page.get_by_label(say.class_label(number), exact=True)
        field.fill(name)
        field.blur()
    page.locator("#settings > button").click()
    page.locator("#steps input").fill("5")
    page.locator("#steps input").blur()
    page.locator("#train").click()
    page.locator("#result .cs-verdict").wait_for(timeout=LONG)
    page.locator("#examples button.thumbnail-item").first.click()
    page.locator("#bars .cs-tried").wait_for(timeout=LONG)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_class_rows_do_not_scroll_and_the_toolbar_covers_no_picture(studio: Page) -> None:
    page = studio
    page.locator("#sample-everyday").click()
    page.locator("#pictures-10 img").first.wait_for(timeout=LONG)
    inside = """
    () => [...document.querySelectorAll('#class-rows, #class-rows *')]
      .filter(e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowY))
      .filter(e => e.scrollHeight > e.clientHeight + 1).map(e => e.className)
    """
    assert page.evaluate(inside) == []
    bar = page.locator("#pictures-1 .icon-button-wrapper").bounding_box()
    assert bar is not None
    thumbnails = page.locator("#pictures-1 .grid-container").bounding_box()
    assert thumbnails is not None
    assert thumbnails["y"] + thumbnails["height"] <= bar["y"]
