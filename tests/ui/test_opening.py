"""What the page shows when it opens, and which of two answers counts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coop_demo.ui import page as page_module
from coop_demo.ui.context import Shell
from coop_demo.ui.page import build_page, is_as_built
from coop_demo.ui.store import SessionStore
from coop_demo.ui.windows import MAX_WINDOWS, Window, Windows

#: what depends on the model in use, or on files that are made when they are first shown
KNOWN_LATER = {"ranker-note", "look-gallery", "model-status"}


@dataclass(frozen=True)
class Field:
    """Stands for a component of the page."""

    _id: int


NAME, SUMMARY = Field(1), Field(2)


def shell_of_a_page(monkeypatch: pytest.MonkeyPatch, store: SessionStore) -> Shell:
    found: list[Shell] = []
    wire = page_module.Opening.wire

    def remember(self, page) -> None:
        found.append(self.shell)
        wire(self, page)

    monkeypatch.setattr(page_module.Opening, "wire", remember)
    build_page(store=store)
    return found[0]


def test_the_page_is_built_as_a_new_session_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So its opening has next to nothing to send, and nothing to undo."""
    store = SessionStore("mini")
    shell = shell_of_a_page(monkeypatch, store)
    session = store.open(None)
    sent = {
        component.elem_id
        for refresh in shell.on_open
        for component, update in refresh.view(session).items()
        if not is_as_built(component, update)
    }
    assert sent <= KNOWN_LATER


def test_a_view_updates_what_it_says_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SessionStore("mini")
    shell = shell_of_a_page(monkeypatch, store)
    session = store.open(None)
    for refresh in (*shell.on_open, *shell.on_model):
        assert set(refresh.view(session)) <= set(refresh.outputs)


def test_what_was_typed_meanwhile_is_left_alone() -> None:
    window = Window()
    began = window.now()
    window.typed(NAME)
    assert window.answer({NAME: "", SUMMARY: "2 classes"}, began) == {SUMMARY: "2 classes"}
    assert window.answer({NAME: ""}, window.now()) == {NAME: ""}  # what begins later may


def test_what_was_drawn_earlier_gives_way_to_what_was_answered_since() -> None:
    window = Window()
    drawn = [(window.now(), {NAME: "", SUMMARY: ""})]
    window.answer({SUMMARY: "2 classes"}, window.now())
    assert window.not_newer(drawn) == {NAME: ""}
    drawn = [(window.now(), {SUMMARY: "3 classes"})]
    assert window.not_newer(drawn) == {SUMMARY: "3 classes"}


def test_a_handler_that_has_nothing_to_say_leaves_everything_as_it_is() -> None:
    import gradio as gr

    store = SessionStore("mini")
    with gr.Blocks() as page:
        shell = Shell(store, gr.BrowserState(None))
        box, button = gr.Textbox("kept"), gr.Button()

        def silent(session):
            return
            yield

        def quiet(session):
            return {}

        shell.on(button.click, silent, [], [box])
        shell.on(button.click, quiet, [], [box, button])
    stream, call = (function.fn for function in page.fns.values())
    assert stream is not None
    assert call is not None
    request = gr.Request(session_hash="one")
    key = store.open(None).key
    assert list(stream(request, key)) == [gr.skip()]
    assert call(request, key) == gr.skip()


def test_windows_are_apart_and_bounded() -> None:
    windows = Windows()
    first = windows.of("first")
    assert windows.of("first") is first
    assert windows.of("second") is not first
    assert windows.of(None) is not windows.of(None)
    for number in range(MAX_WINDOWS):
        windows.of(str(number))
    assert windows.of("first") is not first
