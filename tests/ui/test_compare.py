"""What the Compare tab keeps and says, without the page: a session and a small CLIP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from comparing import made_set
from tiny import tiny_backbone

from coop_demo.errors import UserError
from coop_demo.ui.compare import actions as compare_actions
from coop_demo.ui.compare.actions import (
    look_at,
    run_base_to_new,
    run_comparison,
    run_curve,
    run_shift,
)
from coop_demo.ui.compare.html import cards, method_rows, scoreboard, table
from coop_demo.ui.compare.kept import compared_of, need_compared
from coop_demo.ui.compare.panels import PANELS
from coop_demo.ui.compare.state import Compared, CompareSettings
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.job import working
from coop_demo.ui.progress import Progress
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    backbone = tiny_backbone()
    monkeypatch.setattr(compare_actions, "shared_backbone", lambda name: backbone)
    store = SessionStore("mini")
    session = store.open(None)
    session.show_set(made_set(tmp_path / "set", train=4, test=3), source="colours")
    yield session
    del store  # and the pictures' folder with it


def settings(methods=("class-mean", "learned"), **changes) -> CompareSettings:
    given = {
        "source": "",
        "methods": methods,
        "templates": "a photo of a {}.",
        "reuse": True,
        "shots": 2,
        "seed": 1,
        "preset": "fast",
        "n_ctx": 2,
        "steps": 3,
    }
    return CompareSettings.parse(*(given | changes).values())


def run(events) -> list:
    return list(events)


def test_methods_appear_as_they_are_measured_and_training_comes_last(session: Session) -> None:
    events = run(run_comparison(session, settings()))
    seen = [
        [result.method for result in event.so_far.comparison.results]
        for event in events
        if isinstance(event, Progress) and event.so_far
    ]
    assert seen == [
        ["hand-crafted"],
        ["hand-crafted", "class-mean"],
        ["hand-crafted", "class-mean", "learned"],
    ]
    kept = compared_of(session)
    assert isinstance(kept, Compared)
    assert kept is events[-1]
    assert list(kept.words) == ["learned"]
    assert len(kept.words["learned"].vectors) == 2
    assert kept.ending.startswith("3 methods on 12 held-out pictures")


def test_a_stop_keeps_what_was_measured(session: Session) -> None:
    events = run_comparison(session, settings())
    for event in events:
        if isinstance(event, Progress) and event.so_far:
            session.stop.set()
    kept = need_compared(session)
    assert [result.method for result in kept.comparison.results] == ["hand-crafted"]
    assert kept.ending.startswith("Stopped")
    assert "held-out pictures in" not in kept.ending  # nothing claims to be complete


def test_a_stop_before_the_first_method_is_one_sentence(session: Session) -> None:
    session.stop.set()
    with pytest.raises(UserError, match="before anything was measured"):
        run(run_comparison(session, settings()))
    assert compared_of(session) is None


def test_the_curve_goes_on_where_it_was_stopped(session: Session) -> None:
    run(run_comparison(session, settings(methods=())))
    for event in run_curve(session, ["class-mean"], 2):
        if event.so_far and len(event.so_far.cells) == 3:
            session.stop.set()
    stopped = need_compared(session)
    assert len(stopped.cells) == 3
    assert stopped.curve_ending.startswith("Stopped")
    session.stop.clear()
    run(run_curve(session, ["class-mean"], 2))
    done = need_compared(session)
    # the flat line, and 1, 2, 4 shots with two seeds; 8 and 16 are more than there are
    assert len(done.cells) == 7
    assert done.cells[:3] == stopped.cells  # the very same measurements, seconds included
    assert "left out" in done.curve_problems[0]


def test_forgetting_and_second_set_join_the_comparison(session: Session, tmp_path: Path) -> None:
    run(run_comparison(session, settings()))
    run(run_base_to_new(session, ["red", "blue"], 8.0))
    second = made_set(tmp_path / "second", names=("red", "blue"), train=2, test=0, seed=5)
    run(run_shift(session, second))
    kept = need_compared(session)
    assert kept.base_to_new is not None
    assert set(kept.base_to_new.new_names) == {"red", "blue"}
    assert [row.method for row in kept.base_to_new.rows] == ["hand-crafted", "learned", "kgcoop"]
    assert kept.shift is not None
    assert kept.shift.class_names == ("blue", "red")
    report = kept.report()
    assert report.base_to_new is kept.base_to_new
    assert report.words


@pytest.mark.parametrize(
    ("held", "message"),
    [(["red"], "Hold out one more class"), (["purple", " "], "class name is empty")],
)
def test_classes_that_cannot_be_held_out_are_named(session: Session, held, message) -> None:
    run(run_comparison(session, settings(methods=())))
    with pytest.raises(UserError, match=message):
        run(run_base_to_new(session, held, 8.0))


def test_a_second_set_of_other_classes_is_refused(session: Session, tmp_path: Path) -> None:
    run(run_comparison(session, settings(methods=())))
    other = made_set(tmp_path / "other", names=("oak", "elm"), train=2, test=0)
    with pytest.raises(UserError, match="same class names"):
        run(run_shift(session, other))
    assert need_compared(session).shift is None


def test_another_comparison_is_not_given_the_old_ones_results(
    session: Session, tmp_path: Path
) -> None:
    run(run_comparison(session, settings(methods=())))
    curve = run_curve(session, ["class-mean"], 1)
    next(event for event in curve if event.so_far)
    run(run_comparison(session, settings(methods=(), seed=2)))
    run(curve)
    assert need_compared(session).cells == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"templates": "no place for the name"}, "has no {}"),
        ({"templates": " \n"}, "at least one prompt"),
        ({"templates": "\n".join(f"{{}} {i}" for i in range(20))}, "20 hand-crafted prompts"),
        ({"source": "no-such-set"}, "no picture set"),
        ({"methods": ["magic"]}, 'no method "magic"'),
        ({"shots": 0}, "whole number from 1"),
        ({"shots": "many"}, "not a number"),
        ({"steps": 10**7}, "whole number from 1"),
        ({"preset": "slow"}, "not among"),
        ({"n_ctx": 99}, "whole number from 1 to 32"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        settings(**changes)


def test_a_person_has_one_long_job_at_a_time(session: Session) -> None:
    with working(session), pytest.raises(UserError, match="already running"), working(session):
        pass
    assert not session.training


def test_every_panel_shows_a_comparison_and_its_absence(session: Session) -> None:
    import gradio as gr

    with gr.Blocks(), gr.Tabs():
        panels = [panel() for panel in PANELS]
    for panel in panels:
        assert len(panel.view(session, None)) == len(panel.outputs)
    run(run_comparison(session, settings()))
    run(run_base_to_new(session, [], 8.0))
    kept = need_compared(session)
    for panel in panels:
        assert len(panel.view(session, kept)) == len(panel.outputs)


def test_a_single_held_out_picture_is_shown_with_a_warning(
    session: Session, tmp_path: Path
) -> None:
    import gradio as gr

    dataset = made_set(tmp_path / "single", names=("red", "blue"), train=3, test=1)
    for path in (tmp_path / "single" / "test" / "blue").iterdir():
        path.unlink()
    (tmp_path / "single" / "test" / "blue").rmdir()
    dataset = made_set_again(tmp_path / "single")
    session.show_set(dataset, source="single")
    run(run_comparison(session, settings(methods=("class-mean",))))
    kept = need_compared(session)
    assert any("1 held-out picture" in note for note in kept.comparison.notes)
    with gr.Blocks(), gr.Tabs():
        panels = [panel() for panel in PANELS]
    for panel in panels:
        assert len(panel.view(session, kept)) == len(panel.outputs)


def made_set_again(folder: Path):
    from coop_demo.data.folders import read_folder

    return read_folder(folder)


def test_names_are_escaped(session: Session) -> None:
    session.name_rows(["<img src=x onerror=alert(1)>", "b", "c", "d"])
    run(run_comparison(session, settings(methods=("learned",))))
    comparison = need_compared(session).comparison
    shown = cards(session, comparison, [0, 5], ["learned", "hand-crafted"]) + method_rows(
        comparison
    )
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown
    import pandas as pd

    assert "<b>" not in table(pd.DataFrame({"<b>": ["<b>"]}), "<b>")


def test_a_picture_leads_to_look_with_both_compared_prompts(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(run_comparison(session, settings(templates="a drawing of a {}.")))
    comparison = need_compared(session).comparison
    assert 'data-picture="7"' in cards(session, comparison, [7], ["learned"])
    look_at(session, 7)
    subject = explain_actions.chosen(session)
    assert subject is not None
    assert subject.picture is comparison.pictures[7].picture
    assert subject.class_names == comparison.class_names
    assert subject.own == comparison.class_names[comparison.pictures[7].label]
    given = {}

    def remember(_subject, _wanted, _method, **options):
        given.update(options)
        raise UserError("drawn elsewhere")

    monkeypatch.setattr(explain_actions, "maps_of", remember)
    assert session.current is None  # Look would have no learned prompt of its own
    with pytest.raises(UserError, match="drawn elsewhere"):
        run(explain_actions.look(session, subject.own, "auto"))
    assert given["template"] == "a drawing of a {}."
    assert given["prompt"] is comparison.result("learned").classifier.prompt

    session.backbone = "another"  # prompts of one model mean nothing to another
    with pytest.raises(UserError, match="drawn elsewhere"):
        run(explain_actions.look(session, subject.own, "auto"))
    assert given["prompt"] is None


def test_a_picture_that_is_gone_costs_its_own_card_and_tells_no_paths(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(run_comparison(session, settings(methods=())))
    comparison = need_compared(session).comparison
    gone = comparison.pictures[2].picture
    for file in (gone.source, session.thumbnail(gone)):
        Path(file).unlink()
    shown = cards(session, comparison, [1, 2], ["hand-crafted"])
    assert shown.count("cs-card-bars") == 2
    assert 'data-picture="2"' not in shown
    assert str(gone.source) not in shown
    assert str(session.folder) not in shown
    assert 'data-picture="1"' in shown
    with pytest.raises(UserError):
        look_at(session, 2)

    def full_disk(picture):
        raise OSError(28, "No space left on device", str(session.folder))

    monkeypatch.setattr(session, "thumbnail", full_disk)
    assert str(session.folder) not in cards(session, comparison, [1], ["hand-crafted"])
    with pytest.raises(UserError, match="no longer there"):
        look_at(session, 1)


@pytest.mark.parametrize("number", [-1, 12, 10**9])
def test_a_picture_that_is_not_there_is_refused(session: Session, number: int) -> None:
    run(run_comparison(session, settings(methods=())))
    with pytest.raises(UserError, match="whole number from 0 to 11"):
        look_at(session, number)


def judged(session: Session, learned_right: int, words_right: int):
    """The session's comparison with answers made so that each is right on its first pictures."""
    from dataclasses import replace

    import torch

    from coop_demo.comparison.statistics import score

    comparison = need_compared(session).comparison
    labels = comparison.labels
    results = []
    for result, right in zip(comparison.results, (words_right, learned_right), strict=True):
        answers = labels.clone()
        answers[right:] = (labels[right:] + 1) % 4
        logits = torch.nn.functional.one_hot(answers, 4).float()
        results.append(replace(result, logits=logits, score=score(answers, labels)))
    return replace(comparison, results=tuple(results))


@pytest.mark.parametrize(
    ("learned", "words", "says", "winner"),
    [
        (12, 2, "beats the hand-crafted prompt, and that is very unlikely to be chance", "learned"),
        (8, 7, "ahead of the hand-crafted prompt, but it could be chance", "nobody"),
        (5, 5, "A draw", "nobody"),
        (5, 6, "behind the hand-crafted prompt, but it could be chance", "nobody"),
        (2, 12, "loses to the hand-crafted prompt, and that is very unlikely", "words"),
    ],
)
def test_the_headline_says_who_won_whoever_it_is(
    session: Session, learned: int, words: int, says: str, winner: str
) -> None:
    run(run_comparison(session, settings(methods=("learned",))))
    shown = scoreboard(judged(session, learned, words))
    assert says in shown
    assert f"cs-won-by-{winner}" in shown
    assert shown.count("<strong>") == 2  # the loser's figure is the same element as the winner's
