"""A German browser gets a German page, all of it; changing the language loses nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from opening import LONG, look_at_the_first, open_page, rank_conditions, teach_biscuits
from playwright.sync_api import Browser, Page, expect

from coop_demo.languages import MODULES, strings_of
from coop_demo.languages.german import page as say

#: every text on the page that can be seen or heard, with what describes a field or a picture
TEXTS = """
() => {
  const found = [], seen = (e) => e.checkVisibility && e.checkVisibility();
  for (const e of document.querySelectorAll('body *')) {
    if (['SCRIPT', 'STYLE'].includes(e.tagName) || !seen(e)) continue;
    for (const node of e.childNodes)
      if (node.nodeType === 3 && node.nodeValue.trim()) found.push(node.nodeValue.trim());
    for (const name of ['placeholder', 'aria-label', 'title', 'alt'])
      if (e.getAttribute(name)) found.push(e.getAttribute(name).trim());
    if (e.tagName === 'INPUT' && e.type === 'text') found.push(e.value.trim());
  }
  return [...new Set(found)];
}
"""

#: words that no German sentence has
ENGLISH = re.compile(
    r"\b(the|of|is|are|and|with|from|for|to|not|it|its|this|that|you|your|picture|pictures|"
    r"learned|crafted|words|choose|train|score|class|method|accuracy)\b",
    re.IGNORECASE,
)

#: English that belongs there: what the model reads, what a program is told, names of files; and
#: what gradio says itself, in English whatever the language of the page
MEANT = (
    r"Rank the [a-z ]+\.?",
    r"an? (photo|picture|close-up photo|drawing|centered satellite photo|colorful|colourful)[^“”]*",
    r"[a-z/0-9-]+\.(png|jpg|csv|zip)",
    r"^.+ \([01],\d\d\)(, .+ \([01],\d\d\))*$",  # words of the vocabulary, each with its cosine
    r"^(class-mean|learned|learned-csc)$",  # keys of methods, which gradio puts into a title
    r"python -m [a-z_ ]+",
    r"train/|test/|image, value|filename,label",
    r"CoOp Studio|Tux Paint|Ranking-aware Adapter|KgCoOp|Tip-Adapter|ImageNet|et al\.",
    r"^(Thumbnail \d+ of \d+|Click to upload or drop files|Paste from clipboard|Capture from "
    r"camera|Reset to default value|(number input|range slider) for .*)$",
    r"^(X-axis|Y-axis|Symbol legend) titled .*",
    r"Produced with Plotly\.js.*|Zoom.*|Pan|Reset axes|Autoscale|Download plot as.*|Box Select|"
    r"Lasso Select|Double-click.*|Vega.*|Click to view actions|Save as (SVG|PNG)|View.*|Open in.*",
)


@pytest.fixture
def german(browser: Browser, watch, app_address) -> Iterator[Page]:
    """The page in a browser that asks for German."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    watch.follow(page)
    open_page(page, app_address)
    yield page
    context.close()


def in_english(page: Page) -> list[str]:
    """Texts of the page that are English though they should not be."""
    catalogue = {
        value
        for module in MODULES
        for name, value in vars(strings_of("en", module)).items()
        if isinstance(value, str)
        and len(value) > 3
        and not name.startswith("_")
        and value != getattr(strings_of("de", module), name, value)
    }
    left = []
    for text in page.evaluate(TEXTS):
        rest = text
        for meant in MEANT:
            rest = re.sub(meant, "", rest)
        if rest.strip() and (text in catalogue or ENGLISH.search(rest)):
            left.append(text)
    return left


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(700)


def test_a_german_browser_sees_no_english(german: Page) -> None:
    page = german
    assert page.evaluate("document.documentElement.lang") == "de"
    found = {}
    for tab in (say.COMPARE_TAB, say.RANK_TAB, say.LOOK_TAB, say.TEACH_TAB):
        open_tab(page, tab)
        found[f"empty {tab}"] = in_english(page)
    page.locator("#many > button").click()
    teach_biscuits(page)
    page.locator("#model-status summary").click()
    page.wait_for_timeout(1500)
    found[say.TEACH_TAB] = in_english(page)
    open_tab(page, say.COMPARE_TAB)
    page.locator("#compare-methods").get_by_label("Tip-Adapter").check()
    page.locator("#compare-go").click()
    page.locator("#compare-verdict .cs-headline").wait_for(timeout=LONG)
    expect(page.locator("#compare-go")).to_be_enabled(timeout=LONG)
    for panel in page.locator(".cs-panels button[role=tab]").all():
        if panel.is_visible():
            panel.click()
            page.wait_for_timeout(900)
            found[f"{say.COMPARE_TAB}: {panel.inner_text()}"] = in_english(page)
    open_tab(page, say.RANK_TAB)
    rank_conditions(page)
    page.wait_for_timeout(2000)
    found[say.RANK_TAB] = in_english(page)
    open_tab(page, say.LOOK_TAB)
    look_at_the_first(page)
    page.wait_for_timeout(1000)
    found[say.LOOK_TAB] = in_english(page)
    assert {where: texts for where, texts in found.items() if texts} == {}


def test_changing_the_language_loses_nothing(german: Page, app_address) -> None:
    page = german
    page.locator("#sample-creatures").click()
    page.locator("#class-name-8 input, #class-name-8 textarea").first.wait_for(timeout=LONG)
    page.locator("[data-language=en]").click()
    page.locator("#model-status summary").wait_for()
    expect(page.get_by_role("tab", name="Teach", exact=True)).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("Creatures nobody has heard of")
    expect(page.locator("#summary")).to_contain_text("8 classes")

    open_page(page, app_address)  # it stays with what was chosen, though the browser is German
    expect(page.get_by_role("tab", name="Teach", exact=True)).to_be_visible()
    page.locator("[data-language=de]").click()
    expect(page.locator("#summary")).to_contain_text("Wesen, die niemand kennt")
    expect(page.locator("#summary")).to_contain_text("8 Klassen")


def test_an_error_of_the_core_is_said_in_german(german: Page, tmp_path) -> None:
    page = german
    empty = tmp_path / "leer.zip"
    empty.write_bytes(b"")
    with page.expect_file_chooser() as chooser:
        page.locator("#open-zip").click()
    chooser.value.set_files(str(empty))
    expect(page.get_by_text("ist leer (0 Byte)")).to_be_visible(timeout=LONG)
