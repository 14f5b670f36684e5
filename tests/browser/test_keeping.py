"""The app is killed and started again, and nothing a person made or clicked is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opening import open_page
from playwright.sync_api import Page, expect

from coop_demo.recipes.serving import end_app, free_port, start_app


class App:
    """An app that can be killed and started again, on the same port and with the same folders."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        kept = {"COOP_DEMO_SESSIONS": str(self.folder / "sessions")}
        self.process = start_app(self.folder, self.port, environment=kept)

    def kill(self) -> None:
        self.process.kill()  # SIGKILL: it has no chance to write anything
        self.process.wait()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("killed"))
    yield app
    end_app(app.process)


@pytest.fixture
def studio(page: Page, app: App) -> Page:
    page.set_default_timeout(60_000)
    open_page(page, app.address)
    return page


def show(page: Page, sample: str = "biscuits") -> None:
    page.locator(f"#sample-{sample}").click()
    expect(page.locator("#summary")).to_contain_text("held out")


def open_settings(page: Page) -> None:
    page.locator("#settings").get_by_role("button").first.click()


def long_training(page: Page, steps: int) -> None:
    open_settings(page)
    page.locator("#steps input").fill(str(steps))
    page.locator("#train").click()


def test_a_page_left_open_works_after_the_app_was_killed_and_started(studio, app) -> None:
    show(studio)
    app.kill()
    app.start()
    studio.locator("#train").click()
    # either it works at once, or the page comes back and says that a click may be lost
    began = studio.locator("#status").get_by_text("Step ")
    away = studio.locator(".cs-away")
    finished = studio.locator("#result").get_by_text("Completed all 250 steps")
    expect(began.or_(away).or_(finished).first).to_be_visible()
    studio.wait_for_timeout(3000)
    if away.is_visible() and studio.locator("#train").is_enabled() and not finished.is_visible():
        studio.locator("#train").click()
    expect(studio.locator("#result")).to_contain_text("Completed all 250 steps")
    expect(studio.locator("#class-name-1 input, #class-name-1 textarea")).to_have_value("grade A")


def test_a_training_that_was_killed_is_there_again_and_goes_on(studio, app) -> None:
    show(studio)
    long_training(studio, 600)
    expect(studio.locator("#status")).to_contain_text("Step 2")  # twenty and more
    time.sleep(4)
    app.kill()
    app.start()
    # the page comes back by itself
    expect(studio.locator("#result")).to_contain_text("This training was interrupted at step")
    expect(studio.locator(".cs-away")).to_contain_text("please click again")
    open_settings(studio)
    expect(studio.locator("#steps input")).to_have_value("600")
    expect(studio.locator("#save")).to_be_enabled()
    studio.locator("#go-on").click()
    expect(studio.locator("#status")).to_contain_text("Step ")
    expect(studio.locator("#result")).to_contain_text("Completed all 600 steps")
    expect(studio.locator("#go-on")).to_be_hidden()


def test_a_click_while_the_app_is_away_is_answered_in_words(studio, app) -> None:
    show(studio)
    app.kill()
    studio.locator("#train").click()
    expect(studio.get_by_text("Connection to the server was lost")).to_be_visible()
    app.start()
    expect(studio.locator(".cs-away")).to_contain_text("If your last click did nothing")
    expect(studio.locator("#summary")).to_contain_text("held out")
    studio.locator("#train").click()
    expect(studio.locator("#result")).to_contain_text("Completed all 250 steps")
    studio.locator(".cs-away button").click()
    expect(studio.locator(".cs-away")).to_have_count(0)


def test_what_is_deleted_comes_back_with_undo(studio) -> None:
    expect(studio.locator("#train")).to_be_disabled()
    show(studio)
    studio.locator("#train").click()
    expect(studio.locator("#result")).to_contain_text("Completed")
    studio.locator("#start-over").click()
    expect(studio.locator("#result")).to_be_empty()
    expect(studio.locator("#accuracy-plot")).to_be_hidden()
    expect(studio.locator("#train")).to_be_disabled()
    expect(studio.locator("#undo")).to_contain_text("Cleared: 155 pictures")
    studio.locator("#undo").get_by_role("button").click()
    expect(studio.locator("#result")).to_contain_text("Completed")
    expect(studio.locator("#train")).to_be_enabled()
    expect(studio.locator("#undo")).to_be_hidden()
    studio.locator("#remove-class-2").click()
    expect(studio.locator("#undo")).to_contain_text("“grade B” was removed")
    studio.locator("#undo").get_by_role("button").click()
    expect(studio.locator("#class-name-2 input, #class-name-2 textarea")).to_have_value("grade B")


def test_a_project_goes_to_another_browser(studio, app, browser, tmp_path) -> None:
    show(studio, "creatures")
    studio.locator("#train").click()
    expect(studio.locator("#result")).to_contain_text("Completed")
    studio.locator("#project-save").click()
    with studio.expect_download() as download:
        studio.locator("#project-download").click()
    download.value.save_as(tmp_path / "mine.zip")
    other = browser.new_context().new_page()
    other.set_default_timeout(60_000)
    open_page(other, app.address)
    show(other)
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    give(other, tmp_path / "bad.zip")
    expect(other.locator("#project-note")).to_contain_text("is not a project")
    expect(other.locator("#summary")).to_contain_text("Biscuit")
    give(other, tmp_path / "mine.zip")
    expect(other.locator("#summary")).to_contain_text("Creatures")
    expect(other.locator("#result")).to_contain_text("Completed")
    expect(other.locator("#save")).to_be_enabled()
    other.reload()
    expect(other.locator("#result")).to_contain_text("Completed")


def give(page: Page, path: Path) -> None:
    page.locator("#project-open").locator("xpath=..").locator("input[type=file]").set_input_files(
        path
    )


def test_forget_everything_deletes_at_once(studio, app) -> None:
    show(studio)
    before = {path.name for path in (app.folder / "sessions").iterdir()}
    studio.locator("#forget").click()
    studio.locator("#forget-no").click()
    expect(studio.locator("#forget-sure")).to_be_hidden()
    studio.locator("#forget").click()
    studio.locator("#forget-yes").click()
    expect(studio.locator("#summary")).to_contain_text("No pictures yet")
    after = {path.name for path in (app.folder / "sessions").iterdir()}
    assert len(before - after) == 1
    studio.reload()
    expect(studio.locator("#summary")).to_contain_text("No pictures yet")
