"""A real Chromium, the real app, and the promise that neither talks to anybody else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from images import coloured, write_images
from opening import open_page
from playwright.sync_api import expect

from coop_demo.recipes.serving import running_app

CHROMIUM = os.environ.get("COOP_DEMO_CHROMIUM") or shutil.which("chromium") or ""
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
expect.set_options(timeout=40_000)  # a busy computer is slow, not wrong

#: what may fail on the page without being a fault of ours
HARMLESS = ()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.slow)
        # once more when a busy computer failed it; the summary names it
        item.add_marker(pytest.mark.flaky(reruns=1))
        if not CHROMIUM:
            item.add_marker(
                pytest.mark.skip(reason="no Chromium (install it or set COOP_DEMO_CHROMIUM)")
            )


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict:
    return {"executable_path": CHROMIUM, "args": list(OPTIONS), "headless": True}


@pytest.fixture(scope="session")
def app_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("app")) as address:
        yield address


class Watch:
    """What pages asked for and complained about."""

    def __init__(self) -> None:
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []

    def follow(self, page) -> None:
        page.set_default_timeout(60_000)
        page.on("request", lambda request: self._request(request.url))
        page.on("console", lambda message: self._console(message))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.elsewhere.append(url)

    def _console(self, message) -> None:
        if message.type == "error" and not any(part in message.text for part in HARMLESS):
            self.complaints.append(message.text)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test when the page asked another host for something or logged an error."""
    watch = Watch()
    yield watch
    assert watch.elsewhere == []
    assert watch.complaints == []


@pytest.fixture
def studio(page, watch, app_address):
    """The page, opened and ready."""
    watch.follow(page)
    open_page(page, app_address)
    return page


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Files of noisy pictures: red ones and blue ones, eight each."""
    folder = tmp_path_factory.mktemp("pictures")
    files: dict[str, list[str]] = {}
    for name, colour, first in (("brick", (210, 50, 40), 0), ("sea", (40, 70, 205), 8)):
        shown = [coloured(colour, first + i, size=(64, 64)) for i in range(8)]
        files[name] = [str(path) for path in write_images(shown, folder, f"{name}-")]
    return files
