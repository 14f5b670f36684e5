"""Learning, stopping, trying, saving and loading in a session, on a tiny model."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from images import coloured, write_images
from tiny import tiny_backbone

from coop_demo.backbones import features
from coop_demo.data.dataset import Picture
from coop_demo.errors import PromptError, UserError
from coop_demo.languages import page as strings
from coop_demo.languages import teach as teach_strings
from coop_demo.prompts.learner import PromptConfig
from coop_demo.ui import events
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session, Taught
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach import actions as teach_actions
from coop_demo.ui.teach import show as teach_show
from coop_demo.ui.teach.state import TeachSettings, Tried


@pytest.fixture
def store() -> SessionStore:
    return SessionStore("tiny")


@pytest.fixture
def session(monkeypatch, tmp_path, store) -> Session:
    """A person who has shown eight red and eight blue pictures."""
    model = tiny_backbone()
    monkeypatch.setattr(teach_actions, "shared_backbone", lambda name: model)
    session = store.open(None)
    for index, (name, colour) in enumerate({"brick": (220, 30, 30), "sea": (30, 30, 220)}.items()):
        shown = [coloured(colour, 8 * index + i, size=(40, 40), grain=30) for i in range(8)]
        files = write_images(shown, tmp_path, f"{name}-")
        assert session.set_pictures(index, files) == ()
        session.rows[index].name = name
    return session


def settings(**changes) -> TeachSettings:
    values = {
        "template": "a photo of a {}.",
        "prompt": PromptConfig(n_ctx=4),
        "shots": 8,
        "preset": "fast",
        "seed": 1,
        "steps": 30,
        "learning_rate": None,
        "kgcoop_weight": 0.0,
    }
    return TeachSettings(**(values | changes))


def learned(session: Session, **changes) -> Taught:
    dataset, _ = session.split(1)
    *_, taught = teach_actions.learn(session, dataset, settings(**changes))
    assert isinstance(taught, Taught)
    return taught


def test_a_finished_training_says_so_and_counts_right_answers(session) -> None:
    taught = learned(session)
    assert taught.ending.startswith("Completed all 30 steps")
    assert taught.verdict is not None
    assert taught.verdict.n_test == 4
    history = taught.prompt.history[-1]
    assert taught.verdict.learned_right == round(4 * history["held_out_accuracy"])
    assert session.current is taught


def test_a_stopped_training_keeps_a_usable_prompt_and_never_says_completed(session) -> None:
    dataset, _ = session.split(1)
    events = teach_actions.learn(session, dataset, settings(steps=5000))
    for event in events:
        if isinstance(event, Progress) and len(event.points) > 130:  # measured every 125 steps
            session.stop.set()
        if isinstance(event, Taught):
            break
    taught = session.current
    assert taught is not None
    assert taught.ending.startswith("Stopped at step")
    assert "ompleted" not in taught.ending
    picture = Picture("one", session.rows[0].pictures[0].source)
    assert teach_actions.try_pictures(session, [picture], "{}").learned is not None


def test_stopping_before_the_first_step_is_a_sentence(session, monkeypatch) -> None:
    # pictures that no other test has encoded: the stop must come while they are
    monkeypatch.setattr(features, "SHARED_CACHE", features.FeatureCache())
    dataset, _ = session.split(1)
    session.stop.set()
    with pytest.raises(UserError, match="nothing was learned"):
        list(teach_actions.learn(session, dataset, settings()))
    assert session.current is None


def test_a_page_that_is_left_keeps_what_was_learned_so_far(session) -> None:
    dataset, _ = session.split(1)
    events = teach_actions.learn(session, dataset, settings(steps=5000))
    for event in events:
        if isinstance(event, Progress) and len(event.points) > 130:
            break
    events.close()  # what gradio does when the browser has gone
    assert session.current is not None
    assert session.current.ending.startswith("This training was interrupted at step")
    assert session.backbone in session.under_way, "and it can go on"


def test_two_people_interleaved_learn_what_each_learns_alone(session, store) -> None:
    alone = learned(session).prompt.ctx
    dataset, _ = session.split(1)
    other = store.open(None)
    runs = [
        teach_actions.learn(session, dataset, settings()),
        teach_actions.learn(other, dataset, settings(seed=2)),
    ]
    while runs:
        runs = [run for run in runs if next(run, None) is not None]
    assert session.current is not None
    assert other.current is not None
    assert (session.current.prompt.ctx == alone).all()
    assert (other.current.prompt.ctx != alone).any()


def test_a_saved_prompt_loads_in_another_session_and_says_the_same(session, store) -> None:
    taught = learned(session)
    assert taught.file is not None
    other = store.open(None)
    loaded = teach_actions.load(other, taught.file)
    assert loaded.prompt.class_names == ("brick", "sea")
    assert loaded.verdict is None, "no result is claimed for pictures this person never showed"
    picture = session.rows[1].pictures[0]
    first = teach_actions.try_pictures(session, [picture], "{}")
    second = teach_actions.try_pictures(other, [picture], "{}")
    assert first.learned is not None
    assert second.learned is not None
    assert np.allclose(first.learned, second.learned, atol=1e-5)


def test_a_wrong_prompt_file_leaves_the_prompt_that_is_there(session, tmp_path) -> None:
    taught = learned(session)
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"nothing of the kind")
    with pytest.raises(PromptError, match=r"wrong\.safetensors"):
        teach_actions.load(session, wrong)
    assert session.current is taught


def test_before_training_only_the_words_answer(session) -> None:
    tried = teach_actions.try_pictures(session, [session.rows[0].pictures[0]], "a photo of a {}.")
    assert tried.learned is None
    assert tried.words.shape == (1, 2)
    session.clear()
    with pytest.raises(UserError, match="Name two classes"):
        teach_actions.try_pictures(session, [Picture("x", Path("x.png"))], "{}")


def test_held_out_pictures_are_at_hand_with_their_true_classes(session) -> None:
    dataset, _ = session.split(1)
    held_out = {(one.picture.content, dataset.class_names[one.label]) for one in dataset.test}
    shown = {(one.picture.content, one.truth) for one in teach_actions.at_hand(session)}
    assert shown == held_out
    taught = learned(session)
    used = {(one.picture.content, taught.dataset.class_names[one.label]) for one in dataset.test}
    assert {(one.picture.content, one.truth) for one in teach_actions.at_hand(session)} == used
    session.clear()
    assert teach_actions.at_hand(session) == ()


def test_many_held_out_pictures_are_a_few_of_every_class(session) -> None:
    teach_actions.open_sample(session, "everyday")
    shown = teach_actions.at_hand(session)
    assert len(shown) == teach_actions.MAX_AT_HAND
    assert {one.truth for one in shown} == set(session.named_classes())


def test_a_surprise_comes_from_another_set(session) -> None:
    teach_actions.open_sample(session, "everyday")
    for _ in range(8):
        found = teach_actions.surprise(session)
        assert found.elsewhere
        assert found.elsewhere != session.source
        assert session.thumbnail(found.picture).is_file()


def test_a_learned_prompt_says_which_picture_may_be_none_of_its_classes(session) -> None:
    taught = learned(session)
    assert taught.prompt.familiar is not None
    tried = teach_actions.try_pictures(session, [session.rows[0].pictures[0]], "{}")
    assert tried.unlike == (False,)
    session.taught.clear()
    tried = teach_actions.try_pictures(session, [session.rows[0].pictures[0]], "a photo of a {}.")
    assert tried.unlike == (), "the words alone do not know"


def test_a_cell_a_spreadsheet_would_run_is_made_harmless(session) -> None:
    shares = learned_shares()
    tried = Tried(("=cmd()", "+b"), ("@name.png",), shares, shares)
    rows = list(csv.reader(io.StringIO(teach_actions.as_csv(tried))))
    assert rows[1][0] == "'@name.png"
    assert all(cell[:1] not in ("=", "+", "-", "@") for row in rows for cell in row)


def learned_shares():
    import torch

    return torch.tensor([[0.75, 0.25]])


@pytest.mark.parametrize(
    ("position", "value", "part"),
    [
        (0, "no braces", "has no {}"),
        (0, None, "has no {}"),
        (1, "many", "Context length is not a number"),
        (1, float("nan"), "Context length is not a number"),
        (1, 2.5, "Context length is 2.5"),
        (2, "nobody", "is not among"),
        (3, "under", "is not among"),
        (5, 65, "Shots is 65"),
        (6, "slow", "is not among"),
        (7, 5001, "up to 5,000"),
        (8, 11, "learning rate is 11"),
        (9, -1, "pull"),
        (10, None, "Seed is not a number"),
    ],
)
def test_every_setting_is_checked_whoever_sends_it(position, value, part) -> None:
    sent = ["a photo of a {}.", 16, teach_strings.KINDS[0], "end", "", 16, "fast", 0, 0, 0, 1]
    TeachSettings.parse(*sent)
    sent[position] = value
    with pytest.raises(PromptError) as error:
        TeachSettings.parse(*sent)
    assert part in str(error.value)


def test_the_summary_says_what_is_missing_then_how_many_are_held_out(session) -> None:
    assert "16 pictures: 4 of them" in teach_show.summary(session)
    session.rows[1].pictures = session.rows[1].pictures[:1]
    assert "has 1 picture" in teach_show.summary(session)
    session.rows[1].name = "brick"
    assert "Two classes are called" in teach_show.summary(session)


def test_a_handler_that_fails_says_one_sentence_and_changes_nothing(monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(events, "warn", said.append)

    @events.forgiving
    def fails() -> str:
        raise UserError("Class 2 has no name.")

    @events.forgiving
    def breaks():
        yield "one"
        raise ZeroDivisionError("secret detail")

    assert fails() == {"__type__": "update"}
    assert list(breaks()) == ["one", {"__type__": "update"}]
    assert said == ["Class 2 has no name.", strings.UNEXPECTED]
