"""The guided lesson: it leads to the place, sees what was done there, and waits after a reload."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from coop_demo.languages.english import tour as say

LONG = 60_000  # ms: a busy computer is slow, not wrong


def test_a_step_is_done_by_doing_it_and_the_lesson_goes_on_after_a_reload(studio: Page) -> None:
    page = studio
    page.get_by_role("tab", name="Rank", exact=True).click()
    page.locator("#tour-begin").click()
    page.locator("#tour-there").click()
    expect(page.locator("#sample-biscuits")).to_be_in_viewport()
    expect(page.locator("#sample-biscuits")).to_be_focused()
    expect(page.locator("#tour-next")).to_have_text(say.SKIP)
    page.locator("#sample-biscuits").click()
    page.locator("#examples button.thumbnail-item").first.wait_for(timeout=LONG)
    expect(page.locator(".cs-tour-seen")).to_have_count(0)
    page.locator("#examples button.thumbnail-item").first.click()
    expect(page.locator(".cs-tour-seen")).to_contain_text(say.WORDS_SEEN, timeout=LONG)
    page.locator("#tour-next").click()
    expect(page.locator("#tour-step")).to_contain_text(say.STEPS["show"][0])

    page.reload()
    expect(page.locator("#tour-step")).to_contain_text(say.STEPS["show"][1], timeout=LONG)
    expect(page.locator(".cs-tour-done")).to_have_count(1)
    page.locator("#tour-there").click()
    expect(page.locator("#shots")).to_be_in_viewport()  # what was closed on the way is open
    page.locator("#tour-leave").click()
    expect(page.locator("#tour-begin")).to_be_visible()
