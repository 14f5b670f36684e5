"""A teacher and a student in two browsers: join, hand out, open."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opening import open_page
from playwright.sync_api import Browser, Page, expect

from coop_demo.recipes.serving import running_app


@pytest.fixture
def class_app(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of an app for a class, and the teacher's code."""
    with running_app(tmp_path, "--classroom") as address:
        found, until = None, time.monotonic() + 60
        while not found and time.monotonic() < until:  # it is printed just after the page answers
            printed = (tmp_path / "app.log").read_text(encoding="utf-8")
            found = re.search(r"\b(\d{6})\b\s*$", printed)
            time.sleep(0.1)
        assert found, printed
        yield address, found.group(1)


def enter_class(page: Page, address: str) -> None:
    open_page(page, address)
    page.get_by_role("tab", name="Class", exact=True).click()


def test_a_student_joins_and_opens_what_the_teacher_hands_out(
    browser: Browser, page: Page, watch, class_app: tuple[str, str]
) -> None:
    address, code = class_app
    watch.follow(page)
    enter_class(page, address)
    expect(page.locator("#class-door svg")).to_be_visible()
    page.locator("#class-teacher button").first.click()
    page.locator("#class-code input").fill(code)
    page.locator("#class-enter").click()
    expect(page.locator("#class-hand-out")).to_be_visible()

    student = browser.new_context().new_page()
    watch.follow(student)
    enter_class(student, address)
    student.locator("#class-nickname input, #class-nickname textarea").fill("Ada")
    student.locator("#class-join").click()
    expect(student.locator("#class-roster")).to_contain_text("Ada")
    expect(page.locator("#class-roster")).to_contain_text("Ada")  # by itself

    page.locator("#class-set input").click()
    page.get_by_role("option", name="Biscuit quality control").click()
    page.locator("#class-hand-out").click()
    expect(student.locator("#class-handed")).to_contain_text("5 classes")
    student.locator("#class-open").click()
    expect(student.locator("#class-note")).to_contain_text("Teach")
    student.get_by_role("tab", name="Teach", exact=True).click()
    expect(student.locator("#summary")).to_contain_text("5 classes")
    student.context.close()
