"""The loss is the paper's, term by term."""

import math

import pytest
import torch

from coop_demo.errors import RankingError
from coop_demo.ranking.losses import LossConfig, pair_loss, ranking_loss

TARGETS = torch.tensor([2.0, 2.0, 0.0])
SCORES = torch.tensor([1.0, 4.0, 0.5])
LOGITS = torch.tensor([[0.3, -0.2, 1.0], [0.0, 0.1, 2.0], [-1.0, -3.0, 0.4]])


def bce(logit, label):
    p = 1 / (1 + math.exp(-logit))
    return -math.log(p if label else 1 - p)


def test_every_term_equals_the_formula_written_out():
    rank = sum(
        bce(LOGITS[i, j].item(), bool(TARGETS[i] > TARGETS[j])) for i in range(3) for j in range(3)
    )
    smooth = [0.5, 1.5, 0.125]  # |1|: ½·1², |2|: 2 − ½, |½|: ½·¼
    loss = ranking_loss(SCORES, LOGITS, TARGETS, LossConfig(zero_weight=0.5, count_ties=True))
    regression = math.log(1 + sum(smooth) / 3)
    zero = (bce(1.0, True) + bce(4.0, True) + bce(0.5, False)) / 3
    assert loss.rank.item() == pytest.approx(rank / 9, rel=1e-6)
    assert loss.regression.item() == pytest.approx(regression, rel=1e-6)
    assert loss.zero.item() == pytest.approx(zero, rel=1e-6)
    assert loss.total.item() == pytest.approx(rank / 9 + 0.2 * regression + 0.5 * zero, rel=1e-6)


def test_none_or_some_is_told_at_the_value_zero_of_standardised_targets():
    values = torch.tensor([0.0, 1.0, 4.0, 7.0])
    offset, scale = 3.0, 2.5  # value = offset + scale · target
    targets, zero = (values - offset) / scale, -offset / scale
    scores = torch.tensor([-1.0, 0.5, 0.2, 2.0])
    loss = ranking_loss(
        scores, None, targets, LossConfig(rank_weight=0, zero_weight=1.0), zero=zero
    )
    expected = [bce(s - zero, v > 0) for s, v in zip(scores.tolist(), values.tolist(), strict=True)]
    assert loss.zero.item() == pytest.approx(sum(expected) / 4, rel=1e-6)


def test_ties_and_the_diagonal_can_be_left_out():
    decided = [(0, 2, True), (1, 2, True), (2, 0, False), (2, 1, False)]
    expected = sum(bce(LOGITS[i, j].item(), label) for i, j, label in decided) / 4
    assert pair_loss(LOGITS, TARGETS, count_ties=False).item() == pytest.approx(expected, rel=1e-6)
    assert pair_loss(LOGITS, torch.ones(3), count_ties=False).item() == 0.0


def test_ties_left_out_get_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    pair_loss(logits, TARGETS, count_ties=False).backward()
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]


def test_a_term_without_weight_is_not_computed():
    loss = ranking_loss(SCORES, None, TARGETS, LossConfig(rank_weight=0))
    assert loss.rank.item() == 0
    assert loss.total.item() == pytest.approx(0.2 * loss.regression.item())
    with pytest.raises(ValueError, match="pair_logits"):
        ranking_loss(SCORES, None, TARGETS)


def test_impossible_weights_are_named():
    with pytest.raises(RankingError, match=r"rank_weight must be 0 or more; it is -1"):
        LossConfig(rank_weight=-1)
    with pytest.raises(RankingError, match="never trained"):
        LossConfig(regression_weight=0)
