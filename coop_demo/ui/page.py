"""The page: header, tabs, footer, and what happens when it opens; once in each language.

The page of the first language is at the app's own address, any other at its language's: /de. They
share everything but their words: the sessions, the browser's key to them and the endpoints for
programs, so that whoever changes the language goes on where they were.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

import gradio as gr

from coop_demo import languages
from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.runtime import shared_backbone
from coop_demo.settings import environment_backbone, index_folder, sessions_folder
from coop_demo.ui import api, foot, header
from coop_demo.ui.archive import tab as archive_tab
from coop_demo.ui.classroom import tab as classroom_tab
from coop_demo.ui.classroom.state import Classroom
from coop_demo.ui.compare import tab as compare_tab
from coop_demo.ui.context import QUIET, Refresh, Shell
from coop_demo.ui.events import warned
from coop_demo.ui.explain import tab as explain_tab
from coop_demo.ui.no_fetching import fetch_nothing
from coop_demo.ui.rank import tab as rank_tab
from coop_demo.ui.session import Session
from coop_demo.ui.store import STORAGE_KEY, SessionStore
from coop_demo.ui.teach import tab as teach_tab
from coop_demo.ui.tour.panel import TourPanel
from coop_demo.ui.windows import Updates, Window

log = logging.getLogger(__name__)

# one module a tab, each with `build(shell)`
TABS = (teach_tab.build, compare_tab.build, rank_tab.build, explain_tab.build)

# Not a secret: the page is told it. One of gradio's own would be another after each start of the
# app, and the browser's key of a kept session could not be read any more.
_STORAGE_SECRET = "coop-studio-keys"

_CLEAN_EVERY, _CLEAN_AGE = 3600, 24 * 3600  # seconds: gradio's upload folder; sessions end sooner


def build_page(
    backbone: str = "", *, store: SessionStore | None = None, classroom: Classroom | None = None
) -> gr.Blocks:
    """The whole page, not launched yet.

    Args:
        backbone: the model everybody starts with; COOP_DEMO_BACKBONE or the built-in one if empty.
        store: where sessions live; a new one when None.
        classroom: with a tab for a class; None without.
    """
    fetch_nothing()
    name = backbone or environment_backbone()
    store = store or SessionStore(name, home=sessions_folder())
    if os.environ.get("SPACES_ZERO_GPU"):
        shared_backbone(name)  # ZeroGPU moves to the GPU only what was loaded before its jobs
    with gr.Blocks(
        title=strings.APP_NAME,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(_CLEAN_EVERY, _CLEAN_AGE),
    ) as page:
        page.pages[0] = ("", strings.APP_NAME, False)  # not in gradio's own bar of pages: none is
        shell = _build(page, store, classroom, languages.ENGLISH)
        api.build(shell)
    for language in languages.OTHERS:
        with page.route(languages.name_of(language), language, show_in_navbar=False):
            _build(page, store, classroom, language)
    page.queue(max_size=2_000, default_concurrency_limit=8)
    return page


def _build(
    page: gr.Blocks, store: SessionStore, classroom: Classroom | None, language: str
) -> Shell:
    """The page in one language."""
    key = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=_STORAGE_SECRET)
    shell = Shell(store, key, language=language)
    with languages.speaking(language):
        header.build(shell)
        shell.tour = tour = TourPanel()
        with gr.Tabs(elem_classes="cs-tabs") as shell.tabs:
            for build_tab in TABS:
                build_tab(shell)
            if index_folder() is not None:
                archive_tab.build(shell)
            if classroom is not None:
                shell.classroom = classroom
                classroom_tab.build(shell)
        foot.build(shell)
        tour.wire(shell)
        # the header's last, so that it tells when everything else is up to date
        shell.on_open.append(shell.on_open.pop(0))
        Opening(shell).wire(page)
    return shell


class Opening:
    """Brings the whole page up to date: when it opens, and when another model is chosen."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    def drawn(
        self, session: Session, window: Window, refreshes: Sequence[Refresh]
    ) -> list[tuple[int, Updates]]:
        """Every tab's updates with the time they were drawn; one that fails leaves the others
        theirs."""
        found: list[tuple[int, Updates]] = []
        for refresh in refreshes:
            at = window.now()
            try:
                found.append((at, refresh.view(session)))
            except Exception as error:
                warned(error)
        return found

    def open(self, request: gr.Request, key: str | None) -> Updates:
        """The session of this browser, or a new one, and what it looks like.

        What the page shows already is left out, so that a click on a page that has just appeared
        is never undone.
        """
        shell = self.shell
        window = shell.windows.of(request.session_hash)
        began = window.begin_opening()
        try:
            session = shell.store.open(key)
            shell.store.keep(session)
            session.shown_model = session.backbone
            window.shows(session.key)
            drawn = self.drawn(session, window, shell.on_open)
        finally:
            window.is_opening = False
        updates = window.not_newer(drawn)
        new = {one: update for one, update in updates.items() if not is_as_built(one, update)}
        return {shell.key: session.key, **window.answer(new, began)}

    def again(self, request: gr.Request, key: str) -> Updates:
        """Everything drawn anew: another session's things are in this one now."""
        shell = self.shell
        window = shell.windows.of(request.session_hash)
        began = window.now()
        session = shell.store.get(key)
        session.shown_model = session.backbone
        return window.answer(window.not_newer(self.drawn(session, window, shell.on_open)), began)

    def change_model(self, request: gr.Request, key: str) -> Any:
        shell = self.shell
        window = shell.windows.of(request.session_hash)
        began = window.now()
        session = shell.store.get(key)
        if session.shown_model == session.backbone:  # a model that cannot be had changes nothing
            return gr.skip()
        session.shown_model = session.backbone
        drawn = self.drawn(session, window, shell.on_model)
        return window.answer(window.not_newer(drawn), began) or gr.skip()

    def warm_up(self) -> None:
        try:
            shared_backbone(self.shell.store.default_backbone)
        except UserError as error:
            log.warning("%s", error)  # said again to whoever needs the model

    def wire(self, page: gr.Blocks) -> None:
        shell = self.shell
        quiet: dict[str, Any] = QUIET | {"api_visibility": "private"}
        restored = [output for refresh in shell.on_open for output in refresh.outputs]
        opened = page.load(shell.spoken(self.open), shell.key, [shell.key, *restored], **quiet)
        opened.then(self.warm_up, concurrency_limit=1, **quiet)
        for event in shell.everything_events:
            event.success(shell.spoken(self.again), shell.key, restored, **quiet)
        shown = [output for refresh in shell.on_model for output in refresh.outputs]
        for event in shell.model_events:
            event.then(shell.spoken(self.change_model), shell.key, shown, **quiet)


def is_as_built(component: Any, update: Any) -> bool:
    """Whether the page shows this of the component before anything has happened."""
    changes = update if isinstance(update, dict) else {"value": update}
    return all(
        _same(getattr(component, name, None), value, name)
        for name, value in changes.items()
        if name != "__type__"
    )


def _same(built: Any, value: Any, name: str) -> bool:
    if name == "choices":
        value = [one if isinstance(one, tuple) else (str(one), one) for one in value]
        built = [tuple(one) for one in built or []]
    if not isinstance(value, str | int | float | list | None):
        return False  # a figure or a table of numbers: nothing is built with one
    if isinstance(built, dict):  # a Dataframe's
        built = built.get("data")
    if name == "value" and value in (None, "", []):
        return built in (None, "", [])
    return type(built) is type(value) and built == value
