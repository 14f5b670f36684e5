"""Pictures of the page as it is, for the README and for looking at it.

    python -m coop_demo.recipes.screenshots                    # assets/screenshots, every tab
    python -m coop_demo.recipes.screenshots --out DIR --tabs teach compare --width 390 --dark

Starts the app on this computer, does what a person would do in Chromium, and takes pictures of the
results. Needs the requirements of development (playwright) and a `chromium` that it finds.
"""

import argparse
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from coop_demo.languages import ENGLISH, LANGUAGES, speaking
from coop_demo.languages import page as say
from coop_demo.recipes.serving import running_app
from coop_demo.settings import ASSETS_DIR

TABS = ("teach", "compare", "rank", "look")
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_PATIENCE = 120_000  # milliseconds: a busy computer is slow, not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the page as it is.")
    parser.add_argument("--out", type=Path, default=ASSETS_DIR / "screenshots", metavar="DIR")
    parser.add_argument("--tabs", nargs="+", choices=TABS, default=list(TABS))
    parser.add_argument("--width", type=int, default=1280, help="of the window, in pixels (1280)")
    parser.add_argument("--height", type=int, default=1420, help="likewise (1420)")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--language", choices=LANGUAGES, default=ENGLISH, help="of the browser")
    parser.add_argument("--whole", action="store_true", help="the whole page, not its first screen")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright  # a requirement of development only

    chromium = os.environ.get("COOP_DEMO_CHROMIUM") or shutil.which("chromium")
    args.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_OPTIONS))
        page = browser.new_page(
            viewport={"width": args.width, "height": args.height},
            color_scheme="dark" if args.dark else "light",
            locale=args.language,
        )
        page.set_default_timeout(_PATIENCE)
        page.goto(f"{address}?__theme={'dark' if args.dark else 'light'}")
        page.locator("#model-status summary").wait_for()
        page.evaluate("document.fonts.ready")
        with speaking(args.language):
            teach(page)
        for tab in args.tabs:
            with speaking(args.language):
                _DO[tab](page)
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(300)
            path = args.out / f"{tab}.png"
            save(page.screenshot(full_page=args.whole), path)
            print(path)
        browser.close()


def open_tab(page: Any, name: str) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    if not tab.is_visible():  # behind the dots of a narrow window
        page.locator(".overflow-menu > button").first.click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()


def teach(page: Any) -> None:
    """A training on the biscuits that has ended, and its result in view."""
    open_tab(page, say.TEACH_TAB)
    if not page.locator("#result .cs-verdict").count():
        page.locator("#sample-biscuits").click()
        page.locator("#summary").get_by_text("80").first.wait_for()
        page.locator("#train").click()
        page.locator("#result .cs-verdict").wait_for()
        page.locator("#accuracy-plot").scroll_into_view_if_needed()
    page.wait_for_timeout(6000)  # the last curves are drawn


def compare(page: Any) -> None:
    open_tab(page, say.COMPARE_TAB)
    page.locator("#compare-go").click()
    page.locator("#compare-verdict .cs-headline").wait_for()
    page.wait_for_timeout(8000)


def rank(page: Any) -> None:
    open_tab(page, say.RANK_TAB)
    page.locator(".cs-rank-choose .cs-samples button").first.click()
    page.wait_for_timeout(1500)
    page.locator("#rank-go").click()
    page.locator("#rank-gallery img").first.wait_for()
    page.wait_for_timeout(6000)


def look(page: Any) -> None:
    open_tab(page, say.LOOK_TAB)
    page.wait_for_timeout(1500)
    page.locator("#look-gallery img").first.click()
    page.locator("#look-check").wait_for()  # the maps, then their check
    page.wait_for_timeout(1500)


_DO = {"teach": teach, "compare": compare, "rank": rank, "look": look}


def save(png: bytes, path: Path) -> None:
    """With a palette of 256 colours: a third of the size, and no difference to the eye."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


if __name__ == "__main__":
    main()
