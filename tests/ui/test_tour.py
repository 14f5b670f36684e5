"""The guided lesson: a step is done when the thing was really done, and not by a button."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from coop_demo.languages import said, speaking, strings_of
from coop_demo.languages import tour as say
from coop_demo.ui.context import Shell
from coop_demo.ui.keeping.sections import HeldSettings
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach.actions import at_hand, open_sample, surprise
from coop_demo.ui.tour.panel import TourPanel
from coop_demo.ui.tour.state import Tour
from coop_demo.ui.tour.steps import STEPS, _trained_with


@pytest.fixture
def session() -> Session:
    store = SessionStore("mini")
    return store.open(None)


@pytest.fixture
def panel() -> TourPanel:
    with gr.Blocks():
        return TourPanel()


def test_nothing_is_done_before_anything_was_done(session) -> None:
    assert [step.key for step in STEPS if step.is_done(session)] == []


def test_every_step_has_words_in_every_language() -> None:
    for language in ("en", "de"):
        assert list(strings_of(language, "tour").STEPS) == [step.key for step in STEPS]


def test_the_first_step_is_trying_a_held_out_biscuit(session, panel) -> None:
    session.tour = Tour()
    open_sample(session, "everyday")
    session.trying = at_hand(session)[0]
    assert panel.news(session) == {}
    open_sample(session, "biscuits")
    session.trying = surprise(session)  # of another set
    assert panel.news(session) == {}
    session.trying = at_hand(session)[0]
    shown = panel.news(session)
    assert say.WORDS_SEEN in shown[panel.words]
    assert session.tour.done == ("words",)
    assert panel.news(session) == {}  # it is said once


def test_no_news_outside_of_the_lesson(session, panel) -> None:
    open_sample(session, "biscuits")
    session.trying = at_hand(session)[0]
    assert panel.news(session) == {}


def taught_with(shots: int) -> Any:
    return SimpleNamespace(prompt=SimpleNamespace(shots=shots), verdict=object())


def test_a_training_counts_only_with_the_shots_that_were_asked_for(session) -> None:
    few, many = _trained_with(1, 4), _trained_with(16, 100)
    session.taught[session.backbone] = taught_with(shots=4)
    assert (few(session), many(session)) == (True, False)
    session.taught[session.backbone] = taught_with(shots=16)
    assert (few(session), many(session)) == (False, True)
    session.training = True
    assert not many(session)


def test_an_answer_of_any_handler_brings_the_lesson_further(session) -> None:
    store = SessionStore("mini")
    with gr.Blocks() as page:
        shell = Shell(store, gr.BrowserState(None))
        shell.tour = TourPanel()
        button = gr.Button()
        shell.on(button.click, lambda session: {}, [], [])
    (event,) = page.fns.values()
    assert set(event.outputs) == set(shell.tour.outputs)


def test_where_somebody_is_in_the_lesson_is_kept_with_the_settings() -> None:
    held = HeldSettings("mini", None, "", Tour(2, ("words",)))
    assert held.tour == Tour(2, ("words",))
    assert HeldSettings("mini", None, "").tour is None  # kept before there was a lesson


def test_what_to_observe_tells_forgetting_from_none() -> None:
    assert "that is forgetting" in say.forget_seen(1.0, 0.2, 0.5)
    assert "Nothing was lost" in say.forget_seen(1.0, 0.8, 0.5)
    with speaking("de"):
        assert "Das heißt Vergessen" in say.forget_seen(1.0, 0.2, 0.5)
        assert said("") == ""
