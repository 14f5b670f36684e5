"""An order says what it is worth: learned, nearly learned, unknown; and whether it wavers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.trust import (
    AGREES,
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
        (trust(is_learned=False, nearness=NEAR), "fair"),
        (trust(is_learned=False, nearness=NEAR - 0.01), "doubtful"),
    ],
)
def test_the_level_follows_from_what_is_known(known: Trust, level: str):
    assert known.level == level
    assert ("Do not rely" in trust_sentence(known)) == (level == "doubtful")


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
