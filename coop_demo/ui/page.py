"""The page: header, tabs, footer, and what happens when it opens."""

import logging
import os
from typing import Any

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.runtime import shared_backbone
from coop_demo.settings import environment_backbone
from coop_demo.ui import api, header, strings
from coop_demo.ui import html as page_html
from coop_demo.ui.compare import tab as compare_tab
from coop_demo.ui.context import Refresh, Shell
from coop_demo.ui.events import forgiving, sentence_for, warn
from coop_demo.ui.explain import tab as explain_tab
from coop_demo.ui.rank import tab as rank_tab
from coop_demo.ui.session import SessionStore
from coop_demo.ui.teach import tab as teach_tab

log = logging.getLogger(__name__)

# one module a tab, each with `build(shell)`
TABS = (teach_tab.build, compare_tab.build, rank_tab.build, explain_tab.build)

_CLEAN_EVERY, _CLEAN_AGE = 3600, 24 * 3600  # seconds: gradio's upload folder; sessions end sooner


def build_page(backbone: str = "", *, store: SessionStore | None = None) -> gr.Blocks:
    """The whole page, not launched yet.

    Args:
        backbone: the model everybody starts with; COOP_DEMO_BACKBONE or the built-in one if empty.
        store: where sessions live; a new one when None.
    """
    name = backbone or environment_backbone()
    store = store or SessionStore(name)
    if os.environ.get("SPACES_ZERO_GPU"):
        shared_backbone(name)  # ZeroGPU moves to the GPU only what was loaded before its jobs
    with gr.Blocks(
        title=strings.APP_NAME,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(_CLEAN_EVERY, _CLEAN_AGE),
    ) as page:
        shell = Shell(store, gr.BrowserState(None, storage_key="coop-studio"))
        header.build(shell)
        with gr.Tabs(elem_classes="cs-tabs") as shell.tabs:
            for build_tab in TABS:
                build_tab(shell)
        gr.HTML(page_html.footer(strings.FOOTER))
        api.build(shell)
        _wire_opening(page, shell)
    page.queue(max_size=2_000, default_concurrency_limit=8)
    return page


def _wire_opening(page: gr.Blocks, shell: Shell) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def refreshed(key: str, refreshes: list[Refresh]) -> list[Any]:
        """All tabs' updates in one answer; one tab that fails leaves the others theirs."""
        updates: list[Any] = []
        for refresh in refreshes:
            try:
                updates += refresh.handler(key)
            except Exception as error:
                warn(sentence_for(error))
                updates += [gr.skip() for _ in refresh.outputs]
        return updates

    def open_session(key: str | None) -> list[Any]:
        session = shell.store.open(key)
        session.shown_model = session.backbone
        key = session.key
        return [key, *refreshed(key, shell.on_open)]

    def model_changed(key: str) -> list[Any]:
        session = shell.store.get(key)
        if session.shown_model == session.backbone:  # a model that cannot be had changes nothing
            return [gr.skip() for refresh in shell.on_model for _ in refresh.outputs]
        session.shown_model = session.backbone
        return refreshed(key, shell.on_model)

    def warm_up() -> None:
        try:
            shared_backbone(shell.store.default_backbone)
        except UserError as error:
            log.warning("%s", error)  # said again to whoever needs the model

    opened = page.load(
        forgiving(open_session),
        shell.key,
        [shell.key, *(output for refresh in shell.on_open for output in refresh.outputs)],
        **quiet,
    )
    opened.then(warm_up, concurrency_limit=1, **quiet)
    for event in shell.model_events:
        event.then(
            forgiving(model_changed),
            shell.key,
            [output for refresh in shell.on_model for output in refresh.outputs],
            **quiet,
        )
