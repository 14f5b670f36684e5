"""Where a method goes wrong: confusion matrix, recall per class, where two methods differ."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coop_demo.comparison.statistics import Score, score


def confusion_matrix(predicted: Tensor, labels: Tensor, n_classes: int) -> np.ndarray:
    """Counts, (C, C): a row is the true class, a column the predicted one."""
    cells = labels.long() * n_classes + predicted.long()
    counts = torch.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).numpy()


def cell_pictures(predicted: Tensor, labels: Tensor, true: int, guess: int) -> tuple[int, ...]:
    """Numbers of the held-out pictures in one cell of the confusion matrix; may be none."""
    return tuple(torch.nonzero((labels == true) & (predicted == guess)).flatten().tolist())


def per_class(predicted: Tensor, labels: Tensor, n_classes: int) -> tuple[Score, ...]:
    """The score of each class's own pictures (its recall)."""
    return tuple(
        score(predicted[labels == label], labels[labels == label]) for label in range(n_classes)
    )


@dataclass(frozen=True)
class Disagreements:
    """Held-out pictures on which two methods differ, by number; the surest answers first."""

    only_first_right: tuple[int, ...]
    only_second_right: tuple[int, ...]
    both_wrong: tuple[int, ...]  # and not in the same way


def disagreements(first: Tensor, second: Tensor, labels: Tensor) -> Disagreements:
    """Where two methods part. Shape: two logits (K, C), labels (K,)."""
    confidence = torch.softmax(first, -1).amax(-1) + torch.softmax(second, -1).amax(-1)
    a, b = first.argmax(-1), second.argmax(-1)

    def numbers(mask: Tensor) -> tuple[int, ...]:
        found = torch.nonzero(mask).flatten()
        return tuple(found[confidence[found].argsort(descending=True, stable=True)].tolist())

    return Disagreements(
        only_first_right=numbers((a == labels) & (b != labels)),
        only_second_right=numbers((a != labels) & (b == labels)),
        both_wrong=numbers((a != labels) & (b != labels) & (a != b)),
    )
