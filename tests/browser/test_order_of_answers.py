"""Nothing a person did is undone by an answer that was begun before it, however slow it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from coop_demo.ui import theme
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.page import Opening, build_page


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The page in this process, so that a test can make parts of it slow."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    page = build_page()
    options = theme.launch_options() | {"server_name": "127.0.0.1", "quiet": True}
    _, address, _ = page.launch(prevent_thread_lock=True, **options)
    yield address
    page.close()


class SlowOpening:
    """Openings that draw the page and answer only when they may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.done: list[int] = []

    def answer(self, page: Page) -> None:
        """Let the opening answer that waits, and wait until the page has drawn it."""
        n = len(self.done) + 1
        self.may_answer.set()
        wait_for(self.done, n, page)
        self.may_answer.clear()


@pytest.fixture
def slow_opening(monkeypatch: pytest.MonkeyPatch) -> SlowOpening:
    opening = SlowOpening()
    quick = Opening.drawn

    def slow(self, session, window, refreshes):
        found = quick(self, session, window, refreshes)
        opening.may_answer.wait(60)
        opening.done.append(1)
        return found

    monkeypatch.setattr(Opening, "drawn", slow)
    return opening


def open_sample(page: Page) -> None:
    page.locator("#sample-biscuits").click()


def expect_sample(page: Page) -> None:
    expect(page.locator("#summary")).to_contain_text("5 classes")
    expect(page.locator("#class-name-5 textarea, #class-name-5 input")).to_be_visible()


def wait_for(done: list[int], n: int, page: Page) -> None:
    until = time.monotonic() + 60
    while len(done) < n and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert len(done) >= n
    page.wait_for_timeout(1500)  # for what it has to draw


def test_a_click_on_a_page_that_has_just_appeared_counts(
    page: Page, watch, app: str, slow_opening: SlowOpening
) -> None:
    watch.follow(page)
    page.goto(app)
    open_sample(page)
    expect_sample(page)
    slow_opening.answer(page)
    expect_sample(page)

    # and after a reload, when the page has much to bring back
    page.reload()
    page.locator("#sample-creatures").click()
    expect(page.locator("#summary")).to_contain_text("Creatures")
    slow_opening.answer(page)
    expect(page.locator("#summary")).to_contain_text("Creatures")


def test_fields_that_do_not_show_the_session_yet_are_not_taken_for_it(
    page: Page, watch, app: str, slow_opening: SlowOpening
) -> None:
    watch.follow(page)
    page.goto(app)
    open_sample(page)
    expect_sample(page)
    slow_opening.answer(page)
    page.reload()
    page.locator("#add-class").click()  # all names are still empty on the page
    expect(page.get_by_text("still opening").first).to_be_visible()
    slow_opening.answer(page)
    expect(page.locator("#class-name-1 input, #class-name-1 textarea")).not_to_have_value("")
    expect_sample(page)


def test_what_to_look_for_stays_when_it_was_typed_before_the_picture_had_arrived(
    page: Page, watch, app: str, pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, typed, answered = explain_actions.dropped, threading.Event(), []

    def slow(session, path):
        typed.wait(60)  # however long a busy computer takes to type
        found = quick(session, path)
        answered.append(1)
        return found

    monkeypatch.setattr(explain_actions, "dropped", slow)
    watch.follow(page)
    page.goto(app)
    page.get_by_text("is in use").first.wait_for(state="attached")
    page.get_by_role("tab", name="Look", exact=True).click()
    expect(page.locator("#look-gallery button img")).to_have_count(12)
    page.locator("#look-gallery button.thumbnail-item").nth(0).click()
    field = page.locator("#look-wanted input")
    expect(field).to_have_value("zebra")
    page.locator("#look-picture input[type=file]").first.set_input_files(pictures["brick"][0])
    expect(page.locator("#look-picture img")).to_be_visible()
    field.fill("")
    field.press_sequentially("a red wall")
    field.press("Enter")
    typed.set()
    wait_for(answered, 1, page)
    expect(field).to_have_value("a red wall")


def test_a_number_typed_while_the_page_draws_stays(page: Page, watch, app: str) -> None:
    watch.follow(page)
    page.goto(app)
    page.get_by_text("is in use").first.wait_for(state="attached")
    page.get_by_role("tab", name="Rank", exact=True).click()
    page.locator("#rank-conditions").click()
    expect(page.locator("#rank-summary")).to_contain_text("24 pictures")
    slow = page.context.new_cdp_session(page)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": 6})  # a slow computer
    page.locator("#numbers-labels").click()
    page.locator("#rank-settings").get_by_role("button").first.click()
    steps = page.locator("#rank-steps input")
    steps.fill("4")
    page.wait_for_timeout(4000)
    expect(steps).to_have_value("4")
