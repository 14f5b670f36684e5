"""The rivals that stand beside the adapter: two that learn nothing, and one plain regression.

- Cosine to the instruction: the weakest reading of "CLIP can rank".
- Antonym pair, CLIP-IQA (Wang et al., AAAI 2023, arXiv 2207.12396): softmax between two opposite
  prompts.
- Ridge regression on picture features: one model an instruction, with labels; what the adapter
  must not lose to where it has labels too.

N pictures, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import RankingError
from coop_demo.ranking.instructions import AntonymPair, check_instruction, propose_antonyms

RIDGE_PENALTIES = tuple(float(10.0**e) for e in np.arange(-3, 6.5, 0.5))


def cosine_scores(backbone: Backbone, image_features: Tensor, instruction: str) -> Tensor:
    """Cosine of each picture with the instruction, in [−1, 1].

    Shape: (N, D) unit-length features -> (N,). RankingError when the instruction is unusable.
    """
    text = backbone.text_features([check_instruction(instruction, backbone)])  # (1, D)
    return _fitting(image_features, text) @ text[0].cpu().double()


def antonym_scores(backbone: Backbone, image_features: Tensor, pair: AntonymPair | str) -> Tensor:
    """How much nearer each picture is to `pair.high` than to `pair.low`: a probability, (N,).

    An instruction in place of a pair gets the proposed one. Computed in double precision, so that
    pictures at the far end of the softmax keep their order.
    """
    if isinstance(pair, str):
        pair = propose_antonyms(pair)
    prompts = [check_instruction(prompt, backbone) for prompt in (pair.high, pair.low)]
    text = backbone.text_features(prompts)  # (2, D)
    high, low = text.cpu().double()  # not every device has double precision
    return torch.sigmoid(backbone.logit_scale * (_fitting(image_features, text) @ (high - low)))


def _fitting(image_features: Tensor, text: Tensor) -> Tensor:
    if image_features.dim() != 2 or image_features.shape[1] != text.shape[1]:
        raise RankingError(
            f"The pictures' features have shape {tuple(image_features.shape)}, and the model's "
            f"texts have width {text.shape[1]}. Encode the pictures with this model."
        )
    return image_features.cpu().double()


@dataclass(frozen=True, eq=False)
class RidgeRanker:
    """Ridge regression on standardised features: score = features · weights + bias."""

    weights: NDArray[np.float64]  # (D,)
    bias: float
    penalty: float

    def scores(self, features: Tensor) -> Tensor:
        """(N, D) -> (N,), in the unit of the training values."""
        return torch.from_numpy(features.cpu().double().numpy() @ self.weights + self.bias)


def fit_ridge(
    features: Tensor, values: Tensor, *, penalties: tuple[float, ...] = RIDGE_PENALTIES
) -> RidgeRanker:
    """Ridge regression with the penalty that leave-one-out error chooses, in closed form.

    With the singular values s of the centred, standardised features and U their left vectors,
    the fit is H = U·s²/(s² + λ)·Uᵀ + 1/N, and the error of leaving picture i out is
    (y_i − ŷ_i)/(1 − H_ii) (Golub, Heath and Wahba, Technometrics 1979).

    Shape: (N, D) and (N,). Raises RankingError with fewer than three pictures or equal values.
    """
    x, y = features.cpu().double().numpy(), values.cpu().double().numpy()
    n = len(y)
    if n < 3 or (y == y[0]).all():
        raise RankingError(
            f"Ridge regression needs three pictures with different values; there are {n} pictures "
            f"with {len(np.unique(y))} values. Label more."
        )
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0  # a constant feature says nothing
    mean = y.mean()
    u, s, vt = np.linalg.svd((x - centre) / spread, full_matrices=False)
    along = u.T @ (y - mean)  # (K,)
    errors = []
    for penalty in penalties:
        shrink = s**2 / (s**2 + penalty)
        fitted = u @ (shrink * along)
        leverage = (u**2) @ shrink + 1 / n
        errors.append(np.mean(((y - mean - fitted) / np.clip(1 - leverage, 1e-9, None)) ** 2))
    penalty = penalties[int(np.argmin(errors))]
    weights = vt.T @ (s / (s**2 + penalty) * along) / spread
    return RidgeRanker(weights, float(mean - centre @ weights), penalty)
