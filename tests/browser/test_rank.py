"""The Rank tab as a person uses it, in a real browser."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from opening import open_page
from playwright.sync_api import Page, expect

from coop_demo.languages import rank as say
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import save_ranker
from coop_demo.ranking.ranker import Ranker
from coop_demo.runtime import shared_backbone

LONG = 60_000  # ms: a busy computer looks at pictures slowly
LOAD_RANKER = f'[data-testid="{say.LOAD_RANKER}-upload-button"]'
#: what reaches beyond the page's right edge and is not inside something that scrolls or clips
TOO_WIDE = """
() => [...document.querySelectorAll('*')]
  .filter(e => e.offsetParent && e.getBoundingClientRect().right > innerWidth + 1)
  .filter(e => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return false;
    return true;
  })
  .map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def ranker_file(tmp_path_factory) -> Path:
    """A ranker that has learned nothing: the page must work with any."""
    backbone = shared_backbone("mini", "cpu")
    config = AdapterConfig.mini(backbone.ranking_dim, backbone.embed_dim)
    adapter = RankingAdapter.seeded(config, 0)
    assert all(torch.isfinite(tensor).all() for tensor in adapter.state_dict().values())
    path = tmp_path_factory.mktemp("ranker") / "blank.safetensors"
    return save_ranker(Ranker(config, adapter.state_dict(), backbone.identity), path)


def open_rank(page: Page, sample: str) -> None:
    page.get_by_role("tab", name="Rank", exact=True).click()
    page.locator(f"#rank-{sample}").click()
    expect(page.locator("#rank-summary")).to_contain_text("24 pictures", timeout=LONG)


def unfold(page: Page, part: str) -> None:
    page.locator(f"#rank-{part}-fold > button").click()


def rank(page: Page) -> None:
    page.locator("#rank-go").click()
    expect(page.locator("#rank-status")).to_contain_text("Ranked 24 pictures", timeout=LONG)


def test_rank_two_instructions_look_at_a_pair_teach_and_reload(
    studio: Page, ranker_file: Path, app_address: str
) -> None:
    page = studio
    open_rank(page, "conditions")
    page.locator(LOAD_RANKER).set_input_files(ranker_file)
    expect(page.locator("#ranker-note")).to_contain_text("blank.safetensors", timeout=LONG)
    rank(page)

    # both instructions, each beside its rivals, and a line for every picture
    expect(page.locator("#rank-figures table")).to_have_count(2)
    expect(page.locator("#rank-figures .cs-verdict")).to_have_count(2)
    unfold(page, "slope")
    expect(page.locator("#rank-slope .cs-line")).to_have_count(24)
    unfold(page, "rivals")
    expect(page.locator("#rank-strips .cs-strip")).to_have_count(3)
    expect(page.locator("#rank-gallery img")).to_have_count(24)

    # a pair by its cell, and by the keyboard
    unfold(page, "pairs")
    cells = page.locator("#rank-pairs .nsewdrag").first
    cells.scroll_into_view_if_needed()
    shown = page.locator("#rank-pair").inner_text()
    box = cells.bounding_box()
    assert box is not None
    for _ in range(10):  # on a busy computer the plot may still be drawn anew
        cells.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.6})
        page.wait_for_timeout(1500)
        if page.locator("#rank-pair").inner_text() != shown:
            break
    expect(page.locator("#rank-pair")).not_to_have_text(shown, use_inner_text=True)
    page.locator("#rank-one input").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#rank-pair")).to_contain_text("logit")

    with page.expect_download() as download:
        page.locator("#rank-csv").click()
    with open(download.value.path(), encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 24

    # one's own order: the labels, learned in a few steps
    page.locator("#numbers-labels").click()
    expect(page.locator("#rank-numbered")).to_contain_text("24 of 24")
    page.locator("#rank-settings").get_by_role("button").first.click()
    steps = page.locator("#rank-steps input")
    expect(steps).to_be_visible()
    steps.fill("4")
    steps.blur()
    page.wait_for_timeout(500)
    expect(steps).to_have_value("4")
    page.locator("#rank-teach").click()
    taught = page.locator("#rank-taught")
    expect(taught).to_contain_text("Completed all 4 steps", timeout=LONG)
    expect(taught).to_contain_text("28 pairs of the 8 held-out pictures")
    expect(page.locator("#ranker-note")).to_contain_text("the ranker you taught")

    # a reload brings all of it back
    open_page(page, app_address)
    page.get_by_role("tab", name="Rank", exact=True).click()
    unfold(page, "slope")
    expect(page.locator("#rank-slope .cs-line")).to_have_count(24)
    expect(page.locator("#rank-taught")).to_contain_text("Completed all 4 steps")


def test_pictures_clicked_in_order_get_their_places(studio: Page) -> None:
    page = studio
    open_rank(page, "counting")
    thumbnails = page.locator("#rank-clickable button.thumbnail-item")
    thumbnails.nth(3).click()
    expect(page.locator("#rank-numbered")).to_contain_text("1 of 24")
    thumbnails.nth(0).click()
    expect(page.locator("#rank-numbered")).to_contain_text("2 of 24")
    page.locator("#rank-teach").click()
    expect(page.locator("#rank-teach-status")).to_contain_text("Number 6 or more")


def test_an_unusable_instruction_is_a_sentence_and_nothing_is_lost(studio: Page) -> None:
    page = studio
    open_rank(page, "counting")
    field = page.locator("#rank-instruction input")
    field.fill("bright " * 500)
    field.press("Enter")
    page.locator("#rank-go").click()
    expect(page.locator("#rank-status")).to_contain_text("Shorten it", timeout=LONG)
    expect(page.locator("#rank-summary")).to_contain_text("24 pictures", timeout=LONG)


def test_nothing_scrolls_sideways_on_a_phone(studio: Page, ranker_file: Path) -> None:
    page = studio
    open_rank(page, "counting")
    page.set_viewport_size({"width": 390, "height": 844})  # where tabs hide behind a menu
    page.locator(LOAD_RANKER).set_input_files(ranker_file)
    expect(page.locator("#ranker-note")).to_contain_text("blank.safetensors", timeout=LONG)
    rank(page)
    for part in ("slope", "rivals", "scores", "pairs"):
        unfold(page, part)
    expect(page.locator("#rank-pairs .js-plotly-plot")).to_be_visible()
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
