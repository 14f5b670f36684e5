"""A technical word says what it means: to a pointer, to the keyboard, and to a finger."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from coop_demo.languages.english import words

_, HELD_OUT = words.MEANINGS["held-out"]


def test_a_word_is_explained_by_keyboard_pointer_and_touch(studio: Page) -> None:
    page = studio
    page.locator("#sample-biscuits").click()
    word = page.locator("#summary .cs-term").first
    expect(word).to_have_text("held out", timeout=60_000)
    bubble = page.locator("#cs-meaning")

    word.focus()
    expect(bubble).to_have_text(HELD_OUT)
    expect(bubble).to_be_visible()
    expect(word).to_have_attribute("aria-describedby", "cs-meaning")
    page.keyboard.press("Escape")
    expect(bubble).to_be_hidden()

    word.hover()
    expect(bubble).to_be_visible()
    page.locator("h1").hover()
    word.blur()
    expect(bubble).to_be_hidden()

    word.dispatch_event("click")  # what a tap comes to
    expect(bubble).to_be_visible()
    box = bubble.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.evaluate("innerWidth")
    page.locator("h1").dispatch_event("click")
    expect(bubble).to_be_hidden()
