"""The Compare tab as a person uses it, in a real browser: every panel, by mouse and keyboard."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from comparing import COLOURS, write_set
from images import zipped_folder
from opening import findings, open_page
from playwright.sync_api import Page, expect

from coop_demo.languages import compare as say

STEPS, SHOTS = 4, 2  # enough to run every part, few enough to be quick


def zipped(folder: Path, **options) -> Path:
    """A made set of coloured pictures as a zip."""
    path = folder / "colours.zip"
    path.write_bytes(zipped_folder(write_set(folder / "set", **options)))
    return path


def open_tab(page: Page, name: str) -> None:
    """A tab of the page or a panel; panels that do not fit stand behind the "…" button."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count():
        tab.click()
        return
    panels = page.locator(".cs-panels")
    panels.locator(".overflow-menu > button").click()
    panels.locator(".overflow-dropdown button", has_text=name).click()


def drawn(page: Page, plot: str) -> None:
    """Wait until a plot has the size it keeps: it is drawn once more when its tab opens."""
    page.wait_for_function(
        """id => {
          const graph = document.querySelector(`#${id} .js-plotly-plot`);
          const layout = graph && graph._fullLayout;
          return layout && graph.clientWidth > 0
            && Math.abs(layout.width - graph.clientWidth) <= 1;
        }""",
        arg=plot,
    )
    page.locator(f"#{plot} .nsewdrag").first.scroll_into_view_if_needed()


def click_cell(page: Page, column: int, row: int, n: int) -> None:
    """Click a cell of the n × n confusion matrix; 0, 0 is its upper left corner."""
    drawn(page, "confusion-plot")
    area = page.locator("#confusion-plot .nsewdrag").first
    box = area.bounding_box()
    assert box is not None
    area.click(
        position={"x": box["width"] * (column + 0.5) / n, "y": box["height"] * (row + 0.5) / n}
    )


def choose(page: Page, box: str, option: str | re.Pattern) -> None:
    page.locator(f"#{box} input").click()
    page.get_by_role("option", name=option).first.click()


def open_zip(page: Page, archive: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#open-zip").click()
    chooser.value.set_files(archive)


def compare(
    page: Page,
    methods: tuple[str, ...] = ("Tip-Adapter", "Learned prompt"),
    steps: int = STEPS,
) -> None:
    """Compare the set of the Teach tab, small and quick."""
    open_tab(page, "Compare")
    boxes = page.locator("#compare-methods")
    for label in boxes.locator("label").all_inner_texts():
        boxes.get_by_label(label.strip(), exact=True).set_checked(label.strip() in methods)
    settings = page.locator("#compare-settings")
    settings.locator("button.label-wrap").click()
    settings.get_by_label(say.STEPS_LABEL, exact=True).fill(str(steps))
    settings.get_by_label(re.compile(f"number input for {say.SHOTS_LABEL}")).fill(str(SHOTS))
    settings.get_by_label(say.SEED_LABEL, exact=True).click()
    page.locator("#compare-go").click()
    expect(page.locator("#compare-notes")).to_contain_text(
        re.compile(r"methods? on \d+ held-out pictures? in")
    )


@pytest.fixture
def shown(studio: Page, tmp_path: Path) -> Page:
    """The page with four colours opened as a zip."""
    open_zip(studio, zipped(tmp_path, train=3, test=3))
    expect(studio.locator("#summary")).to_contain_text("4 classes, 12 pictures to learn from")
    return studio


@pytest.fixture
def compared(shown: Page) -> Page:
    compare(shown)
    return shown


def test_every_panel_answers(compared: Page, tmp_path: Path, app_address) -> None:
    page = compared
    table = page.locator("#compare-table")
    expect(table.get_by_role("row")).to_have_count(4)  # the head and three methods
    for name in ("Hand-crafted prompt", "Tip-Adapter", "Learned prompt"):
        expect(table).to_contain_text(name)
    expect(table).to_contain_text("the one to beat")
    expect(page.locator("#compare-verdict")).to_contain_text(
        re.compile("McNemar p|exactly the same pictures")
    )
    sizes = page.locator(".cs-methods strong").evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell).fontSize)"
    )
    assert len(set(sizes)) == 1  # who loses is shown in the same size of type

    # mistakes: a click on a cell, and the same by keyboard
    open_tab(page, say.MISTAKES_TAB)
    names = sorted(COLOURS)
    click_cell(page, column=1, row=3, n=4)
    expect(page.locator("#true-class input")).to_have_value(names[3])
    expect(page.locator("#answer-class input")).to_have_value(names[1])
    expect(page.locator("#cell-pictures")).to_contain_text(
        re.compile(f"“{names[3]}”.*“{names[1]}”")
    )
    # once more, on the plot of another method: it is a new one
    choose(page, "mistakes-method", "Tip-Adapter")
    click_cell(page, column=2, row=0, n=4)
    expect(page.locator("#true-class input")).to_have_value(names[0])
    expect(page.locator("#answer-class input")).to_have_value(names[2])
    choose(page, "true-class", names[0])
    choose(page, "answer-class", names[0])
    expect(page.locator("#cell-pictures")).to_contain_text(names[0])
    expect(page.locator("#classes-plot .js-plotly-plot")).to_be_visible()

    open_tab(page, say.DIFFER_TAB)
    for option in page.locator("#differ-which label").all():
        option.click()
        expect(page.locator("#differ-cards")).to_contain_text(re.compile("no such picture|%"))

    open_tab(page, say.LEARNED_TAB)
    expect(page.locator("#words-table")).to_contain_text("a random vector's distance")
    expect(page.locator("#words-table")).to_contain_text("With words in place of its vectors")
    expect(page.locator("#map-card .cs-card")).to_have_count(1)
    before = page.locator("#map-card figcaption").inner_text()
    slider = page.locator("#map-picture input[type=range]")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(page.locator("#map-card figcaption")).not_to_have_text(before)
    drawn(page, "map-plot")
    box = (
        page.locator("#map-plot .scatterlayer .trace").first.locator(".point").first.bounding_box()
    )
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#map-card figcaption b")).to_have_text(names[0])

    open_tab(page, say.FORGET_TAB)
    page.locator("#forget-go").click()
    expect(page.locator("#forget-result")).to_contain_text("KgCoOp")
    expect(page.locator("#forget-plot .js-plotly-plot")).to_be_visible()

    open_tab(page, say.SHIFT_TAB)
    page.locator("#shift-go").click()
    expect(page.locator("#shift-status")).to_contain_text(say.NO_SECOND)
    second = zipped(tmp_path / "second", names=("red", "green", "blue"), train=2, test=0, seed=9)
    page.locator("#second-zip input[type=file]").set_input_files(second)
    expect(page.locator("#second-zip")).to_contain_text("colours")
    page.locator("#shift-go").click()
    expect(page.locator("#shift-result")).to_contain_text("fall, points")
    expect(page.locator("#shift-result")).to_contain_text('has no "yellow"')

    open_tab(page, say.TRUST_TAB)
    sentence = page.locator("#trust-sentence")
    expect(sentence).to_contain_text("At temperature 1.00")
    page.locator("#fit-temperature").click()
    expect(sentence).not_to_contain_text("At temperature 1.00")
    page.locator("#reset-temperature").click()
    expect(sentence).to_contain_text("At temperature 1.00")

    open_tab(page, say.TAKE_TAB)
    page.locator("#write-report").click()
    with page.expect_download() as download:
        page.locator("#get-tables").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"methods.csv", "forgetting.csv", "shift.csv", "words.csv", "settings.csv"} <= set(
            archive.namelist()
        )
    with page.expect_download() as download:
        page.locator("#get-report").click()
    assert "Methods side by side" in Path(download.value.path()).read_text(encoding="utf-8")

    # a reload brings it back
    open_page(page, app_address)
    open_tab(page, "Compare")
    expect(page.locator("#compare-table")).to_contain_text("Tip-Adapter")


HOSTILE = ('<img src=x onerror="document.title=1">', "<b>bold", "\"quoted' & {braces}", "=2+5")


def test_names_of_html_are_shown_as_they_are_and_axe_finds_nothing(
    studio: Page, tmp_path: Path
) -> None:
    page = studio
    title = page.title()
    open_zip(page, zipped(tmp_path, names=HOSTILE, train=3, test=3))
    expect(page.locator("#summary")).to_contain_text("4 classes")
    compare(page)
    found = {"methods": findings(page)}
    for tab in (say.MISTAKES_TAB, say.DIFFER_TAB, say.LEARNED_TAB, say.TRUST_TAB):
        open_tab(page, tab)
        page.wait_for_timeout(700)
        found[tab] = findings(page)
    open_tab(page, say.MISTAKES_TAB)
    choose(page, "true-class", HOSTILE[0])
    choose(page, "answer-class", HOSTILE[0])
    expect(page.locator("#cell-pictures")).to_contain_text(HOSTILE[0])
    assert page.title() == title
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("b", has_text=re.compile("^bold$")).count() == 0
    lines = [f"{where}: {' | '.join(one)}" for where, what in found.items() for one in what]
    assert not lines, "\n".join(lines)


def test_a_picture_of_a_comparison_opens_in_look(shown: Page) -> None:
    page = shown
    compare(page, methods=("Learned prompt",))
    open_tab(page, say.LEARNED_TAB)
    picture = page.locator("#map-card .cs-look-at")
    picture.focus()
    picture.press("Enter")  # a click by keyboard
    look = page.get_by_role("tab", name="Look", exact=True)
    expect(look).to_have_attribute("aria-selected", "true")
    expect(page.locator("#look-wanted input")).to_have_value(sorted(COLOURS)[0])
    expect(page.locator("#look-words img")).to_be_visible()
    # nothing was learned in Teach: this is the prompt that was compared
    expect(page.locator("#look-learned img")).to_be_visible()


def test_the_curve_streams_stops_and_goes_on(shown: Page) -> None:
    page = shown
    # long enough not to be over before the page has drawn the first point
    compare(page, methods=("Tip-Adapter",), steps=150)
    page.locator("#curve-go").click()
    page.locator("#curve-stop").click()  # waits until there is something to stop
    status = page.locator("#curve-status")
    expect(status).to_contain_text("Stopped after")
    page.locator("#curve-go").click()
    expect(status).to_contain_text(re.compile(r"\d+ of \d+ points"))
    expect(page.locator("#shots-plot .js-plotly-plot")).to_be_visible()
    expect(status).to_contain_text(re.compile("All [0-9]+ points"), timeout=180_000)
    expect(page.locator("#curve-notes")).to_contain_text("left out")  # 4, 8 and 16 shots


def test_without_pictures_it_says_what_is_missing(studio: Page) -> None:
    open_tab(studio, "Compare")
    expect(studio.locator("#compare-verdict")).to_contain_text("press Compare")
    studio.locator("#compare-go").click()
    expect(studio.locator("#compare-status")).to_contain_text(re.compile("picture|class"))
    expect(studio.locator("#compare-go")).to_be_enabled()


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_scrolls_sideways(compared: Page, width: int, app_address) -> None:
    page = compared
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, app_address)
    open_tab(page, "Compare")
    expect(page.locator(".cs-methods")).to_be_visible()
    open_tab(page, say.TRUST_TAB)
    expect(page.locator("#trust-plot .js-plotly-plot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
