"""The tab Archive: an index that the owner named, in the order a person asked for."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from coop_demo.archive.index import new_index
from coop_demo.archive.indexing import make_index
from coop_demo.archive.sources import open_source
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.data.dataset import Picture
from coop_demo.engines.local import ThisProcess
from coop_demo.errors import UserError
from coop_demo.languages import archive as say
from coop_demo.languages import said, speaking
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.templates import probabilities
from coop_demo.ranking.baselines import antonym_scores
from coop_demo.ranking.instructions import propose_antonyms
from coop_demo.runtime import shared_backbone
from coop_demo.settings import ASSETS_DIR
from coop_demo.ui.archive import actions, state
from coop_demo.ui.page import build_page
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach.actions import learn, open_sample
from coop_demo.ui.teach.state import TeachSettings

pytest.importorskip("pyarrow", reason="an index needs pyarrow")
INSTRUCTION = "Rank the brightness."


def mini() -> Backbone:
    return shared_backbone("mini")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An index of twelve of the sample pictures."""
    home = tmp_path_factory.mktemp("archive")
    files = sorted((ASSETS_DIR / "samples" / "biscuits" / "test").rglob("*.jpg"))[::6][:12]
    table = home / "list.csv"
    table.write_text("path\n" + "\n".join(map(str, files)))
    index = new_index(home / "index", mini())
    list(make_index(open_source(str(table)), index, mini, ThisProcess(), partition=5))
    return home / "index"


@pytest.fixture
def session(folder, monkeypatch) -> Session:
    monkeypatch.setenv("COOP_DEMO_INDEX", str(folder))
    return SessionStore("mini").open(None)


@pytest.fixture(scope="module")
def taught_session() -> Session:
    session = SessionStore("mini").open(None)
    dataset = open_sample(session, "biscuits") or session.dataset()
    settings = TeachSettings(
        template="a photo of a {}.",
        prompt=PromptConfig(n_ctx=2),
        shots=2,
        preset="fast",
        seed=1,
        steps=5,
        learning_rate=None,
        kgcoop_weight=0.0,
    )
    list(learn(session, dataset, settings))
    return session


def features(arranged) -> torch.Tensor:
    pictures = [Picture(path, Path(path)) for path in arranged.index.paths]
    return encode_all(mini(), pictures, cache=FeatureCache()).features[0]


def test_an_order_by_words_is_that_of_the_pictures_features(session):
    arranged = actions.by_words(session, INSTRUCTION)
    exact = antonym_scores(mini(), features(arranged), propose_antonyms(INSTRUCTION)).numpy()
    assert arranged.scores == pytest.approx(exact[arranged.positions], abs=5e-3)
    assert (np.diff(arranged.scores) <= 0).all()
    assert len(arranged.positions) == 12


def test_an_order_by_a_class_is_the_prompts_probability_and_the_filter_its_answer(
    taught_session, folder, monkeypatch
):
    monkeypatch.setenv("COOP_DEMO_INDEX", str(folder))
    session = taught_session
    names = actions.class_names(session)
    arranged = actions.by_class(session, names[1])
    prompt = session.current.prompt
    exact = probabilities(features(arranged), prompt.class_weights, mini().logit_scale)
    assert arranged.scores == pytest.approx(exact[arranged.positions, 1].numpy(), abs=0.02)
    assert set(arranged.called) <= set(names)
    name = arranged.called[0]
    only = actions.by_words(session, INSTRUCTION, name)
    assert set(only.called) == {name}
    assert len(only.positions) == arranged.called.count(name)


def test_both_ends_are_shown_once_and_lost_files_are_counted(session, folder, monkeypatch):
    monkeypatch.setattr(actions, "SHOWN", 4)
    arranged = actions.by_words(session, INSTRUCTION)
    first, last = actions.ends(arranged)
    assert (list(first), list(last)) == ([0, 1, 2, 3], [11, 10, 9, 8])
    shown, n_lost = actions.pictures(session, arranged, first)
    assert n_lost == 0
    assert [caption.split(":")[0] for _, caption in shown] == ["1", "2", "3", "4"]
    lost = list(arranged.index.paths)
    lost[arranged.positions[0]] = "/nowhere.jpg"
    contents = list(arranged.index.contents)
    contents[arranged.positions[0]] = "other"
    object.__setattr__(arranged.index, "paths", tuple(lost))
    object.__setattr__(arranged.index, "contents", tuple(contents))
    shown, n_lost = actions.pictures(session, arranged, first)
    assert (len(shown), n_lost) == (3, 1)
    state.SHARED._stamp = None  # read again by the next test


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_no_picture_is_at_both_ends(n):
    class Some:
        positions = range(n)

    first, last = actions.ends(Some())
    assert sorted([*first, *last]) == list(range(n))


def test_the_list_is_the_whole_order(session):
    arranged = actions.by_words(session, INSTRUCTION)
    with actions.write_list(session, arranged).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == [arranged.index.paths[i] for i in arranged.positions]
    assert [int(row["place"]) for row in rows] == list(range(1, 13))


def test_what_cannot_be_opened_is_said(session, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="Teach a prompt"):
        actions.by_class(session, "grade A")
    monkeypatch.setattr(state, "MOST_PICTURES", 5)
    monkeypatch.setattr(state.SHARED, "_stamp", None)
    with pytest.raises(UserError, match="12 pictures; the page opens up to 5"):
        actions.opened(session)
    monkeypatch.setenv("COOP_DEMO_INDEX", str(tmp_path))
    with pytest.raises(UserError, match="not an index") as refused:
        actions.opened(session)
    with speaking("de"):
        assert "ist kein Index" in said(str(refused.value))
    monkeypatch.delenv("COOP_DEMO_INDEX")
    with pytest.raises(UserError, match="COOP_DEMO_INDEX"):
        actions.opened(session)


def test_the_tab_is_there_only_when_the_owner_named_an_index(monkeypatch, folder):
    monkeypatch.setenv("COOP_DEMO_INDEX", str(folder))
    assert say.TITLE in titles()
    monkeypatch.delenv("COOP_DEMO_INDEX")
    assert say.TITLE not in titles()


def titles() -> list[str]:
    page = build_page("mini", store=SessionStore("mini"))
    return [str(block.label) for block in page.blocks.values() if type(block).__name__ == "Tab"]
