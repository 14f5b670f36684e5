"""Is a picture like those a prompt learned from at all, or none of its classes?

A prompt names one of its classes whatever it is shown, and its probabilities only say which. Here
the similarity itself is asked: how near a picture comes to the nearest class's mean picture, and
how near to the nearest class's text, against how near held-out pictures of the classes come.
MEASURED.md compares this with other scores.

N training pictures, K others, C classes, d joint width.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RARE = 0.05  # this share of held-out pictures of the set is called unlike it, too
MIN_HELD_OUT = 20  # below, the texts are left out: on what they learned from, they are too sure
MIN_PICTURES = 10  # below, nothing is said: a twentieth of them cannot be told

UNLIKE = "This picture is unlike those it learned from: it may be none of these."


@dataclass(frozen=True)
class Familiar:
    """How near pictures of the classes come.

    Shape: class_means (C, d) unit vectors, as a 16-bit file keeps them.
    """

    class_means: Tensor = field(repr=False)
    text_share: float  # what the cosine with the text counts, that with the mean counting 1
    least: float  # a score below is that of a picture unlike those of the set

    def scores(self, features: Tensor, class_weights: Tensor) -> Tensor:
        """(K,) scores of features (K, d), given the prompt's own class weights (C, d)."""
        near = _top(features, self.class_means)
        if self.text_share:
            near = near + self.text_share * _top(features, class_weights)
        return near

    def unlike(self, features: Tensor, class_weights: Tensor) -> list[bool]:
        """Whether each of K pictures may be none of the classes."""
        return (self.scores(features, class_weights) < self.least).tolist()

    def to_mapping(self) -> dict[str, Any]:
        """For a file's description."""
        means = self.class_means.numpy().astype("<f2").tobytes()
        return {
            "class_means": base64.b64encode(means).decode("ascii"),
            "text_share": self.text_share,
            "least": self.least,
        }

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], n_classes: int, width: int) -> "Familiar":
        """What `to_mapping` wrote; ValueError when it is anything else."""
        text, numbers = given.get("class_means"), (given.get("text_share"), given.get("least"))
        if not isinstance(text, str) or len(text) > 8 + 4 * n_classes * width:
            raise ValueError("the class means do not fit")
        if not all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers):  # type: ignore[arg-type]
            raise ValueError("a number is missing")
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError("the class means are not base64") from error
        if len(raw) != 2 * n_classes * width:
            raise ValueError("the class means do not fit")
        means = torch.from_numpy(np.frombuffer(raw, "<f2").astype(np.float32))
        if not torch.isfinite(means).all():
            raise ValueError("the class means are not finite")
        share, least = (float(n) for n in numbers)  # type: ignore[arg-type]
        return cls(means.view(n_classes, width), share, least)


def familiar_from(
    features: Tensor,
    labels: Tensor,
    class_weights: Tensor,
    held_out: Tensor | None = None,
) -> Familiar | None:
    """What is familiar to a prompt that learned from some pictures; None where they are too few.

    Args:
        features: (N, d) of what it learned from, every class among them; `labels` (N,) are theirs.
        class_weights: (C, d) of the learned prompt.
        held_out: (K, d) features of other pictures of the classes.
    """
    n_classes = len(class_weights)
    sums = torch.zeros(n_classes, features.shape[1]).index_add_(0, labels, features)
    means = F.normalize(sums, dim=-1).half().float()
    seen = torch.zeros(0) if held_out is None else _top(held_out, means)
    share = 0.0
    if held_out is not None and len(held_out) >= MIN_HELD_OUT:
        texts = _top(held_out, class_weights)
        share = round(float(seen.std() / texts.std().clamp_min(1e-4)), 4)
        seen = seen + share * texts
    else:
        seen = torch.cat([seen, _left_out(features, labels, sums)])
    if len(seen) < MIN_PICTURES:
        return None
    return Familiar(means, share, float(seen.quantile(RARE)))


def _left_out(features: Tensor, labels: Tensor, sums: Tensor) -> Tensor:
    """Of each training picture that is not its class's only one, its top cosine with class means
    that were made without it."""
    near = features @ F.normalize(sums, dim=-1).T  # (N, C)
    without = F.normalize(sums[labels] - features, dim=-1)
    near[torch.arange(len(labels)), labels] = (features * without).sum(-1)
    alone = torch.bincount(labels, minlength=len(sums)) == 1
    return near.amax(-1)[~alone[labels]]


def _top(features: Tensor, vectors: Tensor) -> Tensor:
    return (features @ vectors.T).amax(-1)
