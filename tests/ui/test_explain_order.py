"""What the ranker looked at, in a session, on a tiny model and a ranker that learned nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from images import grey, write_images
from tiny import tiny_backbone

from coop_demo.errors import RankingError
from coop_demo.heatmaps.ranker import above_average
from coop_demo.languages import look as explain_strings
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.order import Order
from coop_demo.ranking.ranker import Ranker
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.explain import order_actions, state
from coop_demo.ui.rank import actions as rank_actions
from coop_demo.ui.rank import files as rank_files
from coop_demo.ui.rank.state import UsedRanker
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore

BRIGHT = "Rank the brightness."


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture
def session(monkeypatch, backbone) -> Iterator[Session]:
    for module in (rank_actions, order_actions):
        monkeypatch.setattr(module, "shared_backbone", lambda name: backbone)
    store = SessionStore("tiny")
    yield store.open(None)
    assert len(store) == 1


@pytest.fixture
def order(session, backbone, tmp_path) -> Order:
    """Five noisy pictures, ranked."""
    config = AdapterConfig(dim=16, layers=1, heads=2, mlp_ratio=1.0, token_dim=24, dropout=0.0)
    state = RankingAdapter.seeded(config, 0).state_dict()
    session.pile.rankers["tiny"] = UsedRanker(Ranker(config, state, backbone.identity), "blank")
    greys = [grey(30 + 40 * i, i, size=(60, 40), grain=10) for i in range(5)]
    rank_files.add_files(session, write_images(greys, tmp_path))
    *_, orders = rank_actions.rank(session, BRIGHT, "", "", "")
    return orders[0]


def test_a_pairs_maps_and_answer_are_those_of_the_matrix(session, order) -> None:
    first, other = order.compared[0], order.compared[3]
    order_actions.choose(session, order, [order.pictures[first], order.pictures[other]])
    looked = order_actions.look(session)
    logit = float(order.pair_logits[0, 3])
    assert looked.maps.pair.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)
    scores = order.scores["ranker"]
    for at, one in zip((first, other), looked.maps.scores, strict=True):
        assert one.score == pytest.approx(scores[at], abs=1e-4)
    ahead = looked.names[0] if logit > 0 else looked.names[1]
    assert looked.answer.startswith(f"“{ahead}” is put ahead of")
    assert f"{scores[first]:.3f} and {scores[other]:.3f}" in looked.answer
    agree = bool((scores[first] > scores[other]) == (logit > 0))
    assert ("say the same" in looked.answer) is agree


def test_a_pair_has_four_pictures_and_one_picture_has_none(session, order) -> None:
    two = order.pictures[:2]
    order_actions.choose(session, order, two)
    pair = order_actions.look(session)
    drawn = order_actions.pair_pictures(pair, opacity=0.7, cells=False)
    assert [picture.size for picture, _ in drawn] == [(60, 40)] * 4
    shares = [float(pair.maps.pair.attention[at].sum()) for at in (0, 1)]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert f"{shares[0]:.0%} of the attention" in drawn[0][1]
    assert len(order_actions.word_pictures(pair, opacity=0.7, cells=False)) == 2 * 3

    order_actions.choose(session, order, two[:1])
    alone = order_actions.look(session)
    assert alone.maps.pair is None
    assert order_actions.pair_pictures(alone, opacity=0.7, cells=False) == []
    assert alone.answer == explain_strings.score_is(alone.names[0], alone.maps.scores[0].score)
    words = order_actions.word_pictures(alone, opacity=0.7, cells=False)
    assert [caption.split(" · ")[0] for _, caption in words] == BRIGHT.split()
    assert len(order_actions.score_pictures(alone, opacity=0.7, cells=False)) == 1


def test_both_pictures_attention_is_drawn_to_one_scale() -> None:
    """The picture that was looked at less looks paler, and an even spread marks nothing."""
    attention = torch.full((2, 4, 4), 1 / 32)
    assert float(above_average(attention).max()) < 1e-6
    attention[0, 1, 1] += 0.2
    marked = above_average(attention)
    assert float(marked[0, 1, 1]) > 0.19
    assert float(marked[1].max()) == 0


def test_all_maps_come_as_one_zip(session, order) -> None:
    order_actions.choose(session, order, order.pictures[:2])
    looked = order_actions.look(session)
    packed = order_actions.zip_of(looked, opacity=0.7, cells=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = sorted(archive.namelist())
    assert len(names) == 4 + 2 + 6
    assert [sum(name.startswith(kind) for name in names) for kind in ("pair", "score", "word")] == [
        4,
        2,
        6,
    ]


def test_choosing_ranked_pictures_puts_off_what_was_chosen_before(session, order) -> None:
    explain_actions.choose(session, state.Subject(order.pictures[0], ("a", "b")))
    order_actions.choose(session, order, order.pictures[:1])
    assert not explain_actions.is_fresh(session)
    assert order_actions.is_fresh(session)
    subject = order_actions.chosen(session)
    assert [p.name for p in subject.order] == [
        order.pictures[at].name for at in order.ranking("ranker")
    ]
    order_actions.forget(session)
    assert order_actions.chosen(session) is None
    with pytest.raises(RankingError, match="Click a picture or a pair in the tab Rank"):
        order_actions.look(session)


def test_maps_belong_to_the_order_that_was_clicked_whatever_came_after(
    session, order, backbone
) -> None:
    order_actions.choose(session, order, order.pictures[:1])
    config = order.ranker.config
    other = Ranker(config, RankingAdapter.seeded(config, 9).state_dict(), backbone.identity)
    session.pile.rankers["tiny"] = UsedRanker(other, "taught meanwhile")
    *_, later = rank_actions.rank(session, "Rank the noise.", "", "", "")
    assert later[0].ranker is other
    order_actions.choose_again(session, [2])
    looked = order_actions.look(session)
    at = order.ranking("ranker")[2]
    assert looked.names == (order.pictures[at].name,)
    assert looked.instruction == BRIGHT
    assert looked.maps.scores[0].score == pytest.approx(order.scores["ranker"][at], abs=1e-4)


def test_equal_scores_put_neither_ahead(session, order) -> None:
    order_actions.choose(session, order, order.pictures[:2])
    looked = order_actions.look(session)
    one = looked.maps.scores[0]
    same = replace(looked, maps=replace(looked.maps, scores=(one, one)))
    assert "The scores are equal" in same.answer


def test_without_a_ranker_three_pictures_or_one_twice_it_says_so(session, order) -> None:
    with pytest.raises(RankingError, match="one or two pictures, not 3"):
        order_actions.choose(session, order, order.pictures[:3])
    with pytest.raises(RankingError, match="one picture twice"):
        order_actions.choose(session, order, [order.pictures[0]] * 2)
    with pytest.raises(RankingError, match="no ranker for this model"):
        order_actions.choose(session, replace(order, ranker=None), order.pictures[:1])
