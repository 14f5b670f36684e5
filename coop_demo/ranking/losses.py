"""What the ranking-aware adapter is trained on.

L = w_rank · BCE(pair logit, 1[y_i > y_j]) over ordered pairs
  + w_regression · log(1 + smoothL1(score, y))
  + w_zero · BCE(score, 1[y > 0])                              (optional)

Yu et al., ICLR 2025, arXiv 2412.06760; weights and reductions as in the authors' code: every term
is a mean over the batch (or its pairs), and the logarithm is taken of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from coop_demo.errors import RankingError

_ZERO_TOLERANCE = 1e-4  # of standardised targets: 0 brought to their scale in another precision


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms. RankingError when one is negative or nothing is left to learn."""

    rank_weight: float = 1.0  # the pair branch; 0 is the ablation without it
    regression_weight: float = 0.2  # the paper's
    zero_weight: float = 0.0  # "none or some" on the score; for counts, off in the paper's setting
    count_ties: bool = True  # ties and the diagonal as label 0, as in the authors' code

    def __post_init__(self) -> None:
        for name in ("rank_weight", "regression_weight", "zero_weight"):
            if getattr(self, name) < 0:
                raise RankingError(f"{name} must be 0 or more; it is {getattr(self, name)}.")
        if not self.regression_weight and not self.zero_weight:
            raise RankingError(
                "With regression_weight and zero_weight both 0 the score is never trained. "
                "Set one of them above 0."
            )


class RankingLoss(NamedTuple):
    """Scalars. `total` is the weighted sum; the parts are unweighted."""

    total: Tensor
    rank: Tensor
    regression: Tensor
    zero: Tensor


def ranking_loss(
    scores: Tensor,
    pair_logits: Tensor | None,
    targets: Tensor,
    config: LossConfig | None = None,
    *,
    zero: float = 0.0,
) -> RankingLoss:
    """The loss of one batch, all of one instruction.

    Args:
        scores: (N,).
        pair_logits: (N, N), [i, j] for "i ranks above j"; None when `rank_weight` is 0.
        targets: (N,), the values on the scale the scores should have.
        config: the paper's weights when left out.
        zero: where the value 0 lies on that scale, for `zero_weight`: not at 0 once values are
            standardised.

    A term with weight 0 is not computed and reported as 0.
    """
    config = config or LossConfig()
    none = scores.new_zeros(())
    rank = regression = zero_term = none
    if config.rank_weight:
        if pair_logits is None:
            raise ValueError("pair_logits are needed when rank_weight is above 0")
        rank = pair_loss(pair_logits, targets, count_ties=config.count_ties)
    if config.regression_weight:
        regression = torch.log1p(F.smooth_l1_loss(scores, targets))
    if config.zero_weight:
        some = targets > zero + _ZERO_TOLERANCE
        zero_term = F.binary_cross_entropy_with_logits(scores - zero, some.to(scores))
    total = (
        config.rank_weight * rank
        + config.regression_weight * regression
        + config.zero_weight * zero_term
    )
    return RankingLoss(total, rank, regression, zero_term)


def pair_loss(pair_logits: Tensor, targets: Tensor, *, count_ties: bool = True) -> Tensor:
    """Mean binary cross-entropy of "i ranks above j" over ordered pairs: a scalar.

    With `count_ties`, ties and the diagonal count as "not above" in both directions, as in the
    authors' code. Without, they are left out; a batch of equal values then costs 0.
    """
    difference = targets[:, None] - targets[None]  # (N, N)
    above = (difference > 0).to(pair_logits)
    if count_ties:
        return F.binary_cross_entropy_with_logits(pair_logits, above)
    decided = (difference != 0).to(pair_logits)
    losses = F.binary_cross_entropy_with_logits(pair_logits, above, reduction="none")
    return (losses * decided).sum() / decided.sum().clamp(min=1)
