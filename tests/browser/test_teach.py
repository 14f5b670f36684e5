"""The Teach tab as a person uses it, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opening import open_page
from playwright.sync_api import Page, expect

from coop_demo.languages import teach as say

COMPLETED = say.finished(40, 0).split(" in ")[0]  # the time it took is another each time


def class_name(page: Page, number: int):
    """The field of a class's name."""
    return page.get_by_label(say.class_label(number), exact=True)


def show_classes(page: Page, pictures: dict[str, list[str]]) -> None:
    for number, (name, files) in enumerate(pictures.items(), start=1):
        class_name(page, number).fill(name)
        page.locator(f"#pictures-{number} input[type=file]").first.set_input_files(files)
        expect(page.locator("#class-rows")).to_contain_text(f"{len(files)} pictures")
    n_pictures = sum(map(len, pictures.values()))
    expect(page.locator("#summary")).to_contain_text(
        f"{len(pictures)} classes, {n_pictures} pictures"
    )


def set_steps(page: Page, steps: int) -> None:
    field = page.locator("#steps input")
    if not field.is_visible():
        page.locator("#settings > button").click()
    field.fill(str(steps))
    field.blur()


def train(page: Page) -> None:
    page.locator("#train").click()


def try_picture(page: Page, file: str) -> None:
    page.locator("#try-picture input[type=file]").first.set_input_files(file)


def first_answer(page: Page, kind: str):
    return page.locator(f"#bars .cs-bars.cs-{kind} li").first


def test_upload_train_stop_train_try_save_reload_load(
    studio: Page, pictures, tmp_path: Path, app_address
) -> None:
    page = studio
    show_classes(page, pictures)
    expect(page.locator("#summary")).to_contain_text("2 classes, 16 pictures: 4 of them")

    # a long training is stopped and says so
    set_steps(page, 5000)
    train(page)
    expect(page.locator("#status")).to_contain_text(re.compile(r"Step [\d,]+ of 5,000"))
    page.wait_for_timeout(1500)
    page.locator("#stop").click()
    result = page.locator("#result")
    expect(result).to_contain_text(re.compile(r"Stopped at step [\d,]+ of 5,000"))
    expect(result).not_to_contain_text("Completed")
    expect(result).to_contain_text("of 4 held-out pictures")

    # the prompt that was kept answers, if only as well as it could learn by then
    try_picture(page, pictures["brick"][0])
    expect(first_answer(page, "learned")).to_contain_text(re.compile("brick|sea"))

    # a short one runs to its end, with curves on show
    set_steps(page, 40)
    train(page)
    expect(result).to_contain_text(COMPLETED)
    expect(page.locator("#accuracy-plot")).to_be_visible()
    expect(page.locator("#loss-plot")).to_be_visible()
    expect(first_answer(page, "learned")).to_contain_text("brick")
    expect(first_answer(page, "words")).to_be_visible()

    # the prompt as a file
    with page.expect_download() as download:
        page.locator("#save").click()
    saved = tmp_path / "brick-and-sea.safetensors"
    download.value.save_as(saved)
    assert 1_000 < saved.stat().st_size < 500_000

    # a reload brings everything back
    open_page(page, app_address)
    expect(class_name(page, 1)).to_have_value("brick")
    expect(class_name(page, 2)).to_have_value("sea")
    expect(page.locator("#pictures-1 img")).to_have_count(8)
    expect(page.locator("#result")).to_contain_text(COMPLETED)
    expect(page.locator("#accuracy-plot")).to_be_visible()
    try_picture(page, pictures["sea"][0])
    expect(first_answer(page, "learned")).to_contain_text("sea")

    # and a stranger who has only the file can use it
    page.get_by_test_id(f"{say.LOAD_PROMPT}-upload-button").set_input_files(saved)
    expect(page.locator("#result")).to_contain_text("Loaded “brick-and-sea.safetensors”: 2 classes")
    expect(first_answer(page, "learned")).to_contain_text("sea")


def test_two_browsers_never_see_each_other(studio: Page, browser, watch, app_address) -> None:
    name = class_name(studio, 1)
    name.fill("my secret class")
    name.blur()
    other = browser.new_context().new_page()
    watch.follow(other)
    open_page(other, app_address)
    expect(class_name(other, 1)).to_have_value("")
    open_page(studio, app_address)
    expect(class_name(studio, 1)).to_have_value("my secret class")
    other.context.close()


def test_bad_files_cost_only_themselves(studio: Page, pictures, tmp_path: Path) -> None:
    page = studio
    show_classes(page, pictures)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    page.locator("#try-picture input[type=file]").first.set_input_files(broken)
    expect(page.locator("#bars")).to_contain_text("broken.png")
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no safetensors")
    page.get_by_test_id(f"{say.LOAD_PROMPT}-upload-button").set_input_files(wrong)
    expect(page.locator("#prompt-note")).to_contain_text('"wrong.safetensors" is not a prompt')
    not_zip = tmp_path / "not.zip"
    not_zip.write_bytes(b"no zip")
    page.get_by_test_id(f"{say.UPLOAD_ZIP}-upload-button").set_input_files(not_zip)
    expect(page.get_by_text("not.zip").first).to_be_visible()
    expect(class_name(page, 1)).to_have_value("brick")
    expect(page.locator("#pictures-1 img")).to_have_count(8)
    expect(page.locator("#summary")).to_contain_text("2 classes, 16 pictures")


def test_one_click_loads_a_sample_and_classes_come_and_go(studio: Page) -> None:
    page = studio
    page.locator("#sample-biscuits").click()
    expect(class_name(page, 5)).to_be_visible()
    expect(page.get_by_label(say.TEMPLATE_LABEL)).to_have_value("a photo of a biscuit of {}.")
    expect(page.locator("#summary")).to_contain_text("5 classes, 80 pictures to learn from; 75")
    first = class_name(page, 1).input_value()
    second = class_name(page, 2).input_value()
    page.locator("#remove-class-1").click()
    expect(class_name(page, 1)).to_have_value(second)
    assert first != second
    expect(page.locator("#summary")).to_contain_text("4 classes")
    page.locator("#add-class").click()
    expect(class_name(page, 5)).to_have_value("")
    page.locator("#start-over").click()
    expect(class_name(page, 3)).to_have_count(0)
    expect(page.locator("#summary")).to_contain_text(say.NO_PICTURES_YET)


def test_a_folder_gives_its_classes(studio: Page, pictures, tmp_path: Path) -> None:
    for name, files in pictures.items():
        (tmp_path / "colours" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "colours" / name / Path(file).name).write_bytes(Path(file).read_bytes())
    studio.get_by_test_id(f"{say.UPLOAD_FOLDER}-upload-button").set_input_files(
        tmp_path / "colours"
    )
    expect(class_name(studio, 1)).to_have_value("brick")
    expect(class_name(studio, 2)).to_have_value("sea")
    expect(studio.locator("#summary")).to_contain_text("2 classes, 16 pictures")


def test_many_pictures_give_a_table_and_a_csv(studio: Page, pictures, tmp_path: Path) -> None:
    page = studio
    for number, name in enumerate(pictures, start=1):
        class_name(page, number).fill(name)
        class_name(page, number).blur()
    page.locator("#many > button").click()
    page.locator("#try-files input[type=file]").set_input_files(pictures["brick"][:3])
    with page.expect_download() as download:
        page.locator("#download-csv").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("picture,learned,words,learned: brick")
    assert [line.split(",")[0] for line in lines[1:]] == [f"brick-{i}.png" for i in range(3)]


def test_a_model_that_cannot_be_fetched_leaves_everything_as_it_is(studio: Page) -> None:
    page = studio
    class_name(page, 1).fill("oak")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name=re.compile("OpenAI CLIP ViT-B.32 .*not here yet")).first.click()
    expect(page.locator("#model-status")).to_contain_text("stays in use")
    page.get_by_role("button", name="Fetch 605 MB", exact=True).click()
    expect(page.locator("#model-status")).to_contain_text("no connection to the model hub")
    name = class_name(page, 1)
    expect(name).to_have_value("oak")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="Built-in mini model", exact=True).click()
    expect(page.locator("#model-status")).to_contain_text("Built-in mini model is in use")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1400])
def test_nothing_scrolls_sideways(page: Page, watch, scheme: str, width: int, app_address) -> None:
    watch.follow(page)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, app_address)
    page.locator("#sample-biscuits").click()
    expect(class_name(page, 5)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.classList.contains('dark')") is (scheme == "dark")
    train_button = page.locator("#train").bounding_box()
    assert train_button is not None
    assert train_button["x"] >= 0
    assert train_button["x"] + train_button["width"] <= width


NAMELESS = """
() => [...document.querySelectorAll('input, textarea, select, button')]
  .filter(e => e.type !== 'file' && e.offsetParent !== null)
  .filter(e => {
    const byId = (e.getAttribute('aria-labelledby') || '').split(' ')
      .map(id => document.getElementById(id)?.textContent || '').join('');
    const label = [...(e.labels || [])].map(l => l.textContent).join('');
    const own = e.tagName === 'BUTTON' ? e.textContent : '';
    const image = e.querySelector('img[alt]:not([alt=""]), svg title');
    return !(byId + label + own + (e.getAttribute('aria-label') || '') + (e.title || '')).trim()
      && !image;
  })
  .map(e => e.outerHTML.slice(0, 200))
"""


def test_every_control_has_a_name_and_the_keyboard_reaches_train(studio: Page) -> None:
    page = studio
    page.locator("#settings > button").click()
    assert page.evaluate(NAMELESS) == []
    page.locator("#sample-biscuits").click()
    expect(page.locator("#train")).to_be_enabled()
    page.get_by_label(say.TEMPLATE_LABEL).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == say.TRAIN
    page.keyboard.press("Enter")
    expect(page.locator("#stop")).to_be_enabled()
    page.locator("#stop").click()
    expect(page.locator("#train")).to_be_enabled()


def test_holding_the_button_records_pictures_of_a_class(studio: Page) -> None:
    page = studio
    button = page.get_by_role("button", name=say.hold_label(1), exact=True)
    note = page.locator(".cs-class").first.locator(".block.cs-count")
    button.hover()
    page.mouse.down()
    page.wait_for_timeout(5000)  # at most 30 pictures, after which it stops by itself
    page.mouse.up()
    expect(note).to_contain_text(re.compile(r"\b([4-9]|\d\d) pictures"))
    # and by the keyboard
    page.get_by_role("button", name=say.hold_label(2), exact=True).focus()
    page.keyboard.down(" ")
    page.wait_for_timeout(5000)
    page.keyboard.up(" ")
    expect(page.locator("#pictures-2 button.thumbnail-item").nth(1)).to_be_visible()
