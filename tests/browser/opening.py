"""Opening the page and waiting until it is ready."""

from __future__ import annotations

from playwright.sync_api import Page


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("#model-status summary").wait_for()
