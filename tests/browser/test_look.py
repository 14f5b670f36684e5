"""The Look tab as a person uses it, in a real browser."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from opening import open_page
from PIL import Image
from playwright.sync_api import Page, expect

from coop_demo.languages import look as say
from coop_demo.languages import rank as rank_strings
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import save_ranker
from coop_demo.ranking.ranker import Ranker
from coop_demo.runtime import shared_backbone

LONG = 120_000  # ms: a busy computer looks at pictures slowly
LOAD_RANKER = f'[data-testid="{rank_strings.LOAD_RANKER}-upload-button"]'


@pytest.fixture(scope="module")
def ranker_file(tmp_path_factory) -> Path:
    """A ranker that has learned nothing: the page must work with any."""
    backbone = shared_backbone("mini", "cpu")
    config = AdapterConfig.mini(backbone.ranking_dim, backbone.embed_dim)
    state = RankingAdapter.seeded(config, 0).state_dict()
    path = tmp_path_factory.mktemp("ranker") / "blank.safetensors"
    return save_ranker(Ranker(config, state, backbone.identity), path)


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Look", exact=True).click()
    expect(page.locator("#look-gallery button img")).to_have_count(12)


def choose_scene(page: Page, number: int) -> None:
    page.locator("#look-gallery button.thumbnail-item").nth(number).click()


def source_of(page: Page, selector: str) -> str:
    return page.locator(selector).get_attribute("src") or ""


def test_a_scene_is_looked_at_checked_redrawn_and_saved(studio: Page, tmp_path: Path) -> None:
    page = studio
    open_tab(page)
    choose_scene(page, 0)

    # the first of the scene's things is asked for at once
    note = page.locator("#look-note")
    expect(note).to_contain_text("“zebra” by Grad-CAM", timeout=LONG)
    expect(note).to_contain_text("Train or load a prompt")
    expect(page.locator("#look-words img")).to_be_visible()
    expect(page.locator("#look-learned img")).to_have_count(0)
    expect(page.locator("#look-strip button img")).to_have_count(2)
    sentences = page.locator("#look-sentences")
    expect(sentences).to_contain_text("Removing the marked fifth", timeout=LONG)
    expect(sentences).to_contain_text(re.compile(r"taking away 0\.\d\d \(random 0\.\d\d, meaning"))
    for curves in ("#look-deletion", "#look-insertion"):
        expect(page.locator(f"{curves} svg path.cs-curve")).to_have_count(6)  # lines and legend
    expect(page.locator("#look-shuffled img")).to_be_visible()

    # only methods that fit the model are on offer
    page.get_by_label("Method", exact=True).click()
    expect(page.get_by_role("option")).to_have_text(
        [re.compile(r"Grad-CAM \(what suits the model\)$"), re.compile(r"Occlusion$")]
    )
    page.keyboard.press("Escape")

    # opacity and true resolution are other drawings of the same map
    before = source_of(page, "#look-words img")
    page.locator("#look-cells input").check()
    expect(page.locator("#look-words img")).not_to_have_attribute("src", before)
    cells = source_of(page, "#look-words img")
    page.locator("#look-opacity input[type=range]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#look-words img")).not_to_have_attribute("src", cells)

    # a class of the strip is looked for with one click
    page.locator("#look-strip button").nth(1).click()
    expect(note).to_contain_text("“guitar” by Grad-CAM", timeout=LONG)

    # one map as PNG, and all of them as a zip
    with page.expect_download() as download:
        page.locator("#look-words").get_by_label("Download").click()
    assert download.value.suggested_filename == "01.jpg-guitar-hand-crafted.png"
    with Image.open(download.value.path()) as picture:
        assert picture.format == "PNG"
    with page.expect_download() as download:
        page.locator("#look-save").click()
    saved = tmp_path / "maps.zip"
    download.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        assert sorted(archive.namelist()) == [
            "01.jpg-guitar-hand-crafted.png",
            "01.jpg-zebra-hand-crafted.png",
        ]


def test_without_words_there_is_nothing_to_look_for(studio: Page) -> None:
    page = studio
    open_tab(page)
    page.locator("#look-go").click()
    expect(page.locator("#look-status")).to_contain_text(say.NOTHING_WANTED)


def test_a_dropped_picture_needs_words_and_a_broken_one_costs_itself_only(
    studio: Page, pictures, tmp_path: Path
) -> None:
    page = studio
    open_tab(page)
    status = page.locator("#look-status")
    drop = page.locator("#look-picture input[type=file]").first
    drop.set_input_files(pictures["brick"][0])
    expect(page.locator("#look-picture img")).to_be_visible()
    expect(status).to_contain_text(say.NOTHING_WANTED)  # it arrived; nothing is known of it
    field = page.locator("#look-wanted input")
    field.fill("a red wall")
    field.press("Enter")
    page.locator("#look-go").click()
    note = page.locator("#look-note")
    expect(note).to_contain_text("“a red wall”", timeout=LONG)

    # another scene in between: its choice must not change how uploads are taken
    choose_scene(page, 1)
    expect(note).to_contain_text("“strawberry”", timeout=LONG)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n of nothing")
    page.locator("#look-picture").get_by_label("Remove Image").click()
    drop.set_input_files(broken)
    expect(status).to_contain_text("broken.png")
    expect(note).to_contain_text("“strawberry”")  # what was there stays


def test_a_picture_and_a_pair_of_an_order_lead_to_the_rankers_maps(
    studio: Page, ranker_file: Path, app_address: str, tmp_path: Path
) -> None:
    page = studio
    page.get_by_role("tab", name="Rank", exact=True).click()
    page.locator("#rank-counting").click()
    expect(page.locator("#rank-summary")).to_contain_text("24 pictures", timeout=LONG)
    page.locator(LOAD_RANKER).set_input_files(ranker_file)
    expect(page.locator("#ranker-note")).to_contain_text("blank.safetensors", timeout=LONG)
    page.locator("#rank-go").click()
    expect(page.locator("#rank-status")).to_contain_text("Ranked 24 pictures", timeout=LONG)

    page.locator("#rank-gallery button.thumbnail-item").nth(2).click()
    answer = page.locator("#look-ranked-answer")
    expect(answer).to_contain_text("has the score", timeout=LONG)
    expect(page.locator("#look-ranked-score img")).to_have_count(1)
    expect(page.locator("#look-ranked-pair")).to_be_hidden()
    expect(page.locator("#look-empty")).to_be_hidden()

    page.get_by_role("tab", name="Rank", exact=True).click()
    page.locator("#rank-pairs-fold > button").click()
    page.locator("#rank-look-pair").click()
    expect(answer).to_contain_text("of the attention is on", timeout=LONG)
    expect(page.locator("#look-ranked-pair img")).to_have_count(4)
    expect(page.locator("#look-ranked-score img")).to_have_count(2)
    with page.expect_download() as download:
        page.locator("#look-ranked-save").click()
    saved = tmp_path / "ranker-maps.zip"
    download.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        assert len(archive.namelist()) > 6

    # a reload brings them back; a scene puts the maps of prompts in their place
    open_page(page, app_address)
    page.get_by_role("tab", name="Look", exact=True).click()
    expect(answer).to_contain_text("of the attention is on")
    choose_scene(page, 1)
    expect(page.locator("#look-note")).to_contain_text("by Grad-CAM", timeout=LONG)
    expect(answer).to_be_hidden()
