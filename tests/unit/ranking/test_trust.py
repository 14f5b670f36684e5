"""An order says what it is worth: learned, nearly learned, unknown; and whether it wavers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.ranker import Reliability
from coop_demo.ranking.trust import (
    AGREES,
    KINDS,
    NEAR,
    WELL_LEARNED,
    Trust,
    branches_agree,
    trust_in,
    trust_sentence,
)
from coop_demo.runtime import shared_backbone

STEADY = np.array([3.0, 2.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def backbone():
    return shared_backbone("mini", "cpu")


@pytest.fixture(scope="module")
def ranker(backbone):
    path = shipped_ranker_path("mini")
    assert path is not None
    return load_ranker(path, backbone)


def trust(**changed) -> Trust:
    return replace(Trust(True, "Rank the brightness.", 1.0, 0.9, 1.0), **changed)


def pairs_of(scores: np.ndarray) -> np.ndarray:
    return scores[:, None] - scores[None, :]


def test_agreement_is_the_share_of_pairs_put_the_same_way_round():
    assert branches_agree(STEADY, pairs_of(STEADY)) == 1.0
    assert branches_agree(STEADY, pairs_of(-STEADY)) == 0.0
    turned = np.array([3.0, 2.0, 0.0, 1.0])  # one of six pairs the other way
    assert branches_agree(STEADY, pairs_of(turned)) == pytest.approx(5 / 6)
    assert branches_agree(np.zeros(3), pairs_of(np.arange(3.0))) is None


@pytest.mark.parametrize(
    ("known", "level"),
    [
        (trust(), "good"),
        (trust(held_out=WELL_LEARNED - 0.1), "fair"),
        (trust(held_out=0.1), "doubtful"),
        (trust(held_out=None), "fair"),
        (trust(agreement=AGREES - 0.1), "doubtful"),
        (trust(agreement=None), "good"),
        (trust(is_drawn=True), "fair"),
        (trust(is_drawn=True, reliability=Reliability(0.5, 0.1, 6)), "fair"),
        (trust(is_drawn=True, reliability=Reliability(0.1, -0.2, 6)), "doubtful"),
        (trust(is_learned=False, nearness=NEAR), "fair"),
        (trust(is_learned=False, nearness=NEAR - 0.01), "doubtful"),
    ],
)
def test_the_level_follows_from_what_is_known(known: Trust, level: str):
    assert known.level == level
    assert ("Do not rely" in trust_sentence(known)) == (level == "doubtful")


def test_an_instruction_learned_from_drawn_scenes_alone_promises_nothing_for_photographs():
    drawn = trust(is_drawn=True, held_out=0.9)
    assert drawn.kind == "drawn"
    assert drawn.level != "good"
    assert "0.90" not in trust_sentence(drawn)
    assert "drawn scenes" in trust_sentence(drawn)


def test_the_sentence_gives_the_figure_that_was_measured_for_such_instructions():
    measured = Reliability(0.37, -0.11, 9)
    unknown = trust(is_learned=False, nearness=0.5, reliability=measured)
    assert unknown.kind == "unknown"
    assert "0.37 on average" in trust_sentence(unknown)
    assert "-0.11 at worst" in trust_sentence(unknown)
    learned = trust(reliability=measured)
    assert "0.37" not in trust_sentence(learned), "it has a figure of its own"


def test_what_an_order_is_told_is_of_its_own_kind(backbone, ranker):
    figures = {kind: Reliability(0.1 * at, 0.0, 3) for at, kind in enumerate(KINDS)}
    known = replace(ranker, reliability=figures)
    for text, kind in (
        ("Rank the brightness.", "learned"),
        ("Rank the image brightness.", "near"),
        ("Rank the numbers of umbrellas in the rain of Spain.", "unknown"),
    ):
        found = trust_in(backbone, known, text, scores=STEADY, pair_logits=None)
        assert found.kind == kind
        assert found.reliability == figures[kind]
    beauty = trust_in(backbone, known, "Rank the beauty.", scores=STEADY, pair_logits=None)
    assert beauty.kind == "unknown"
    assert beauty.reliability is None, "only counts were measured"


def test_a_learned_instruction_is_known_with_its_figure(backbone, ranker):
    found = trust_in(
        backbone, ranker, "rank the brightness", scores=STEADY, pair_logits=pairs_of(STEADY)
    )
    assert found.is_learned
    assert found.agreement == 1.0
    assert found.held_out is not None
    assert found.level == "good"
    assert f"{found.held_out:.2f}" in trust_sentence(found)


def test_other_words_for_a_learned_one_are_near_and_a_new_one_is_not(backbone, ranker):
    near = trust_in(backbone, ranker, "Rank the image brightness.", scores=STEADY, pair_logits=None)
    assert not near.is_learned
    assert near.is_near
    assert near.nearest == "Rank the brightness."
    far = trust_in(backbone, ranker, "Rank the beauty.", scores=STEADY, pair_logits=None)
    assert far.level == "doubtful"
    assert far.nearest in trust_sentence(far)
