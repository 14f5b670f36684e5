"""Curves of a training, as tidy data frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class CurvePoint:
    """What was known after a step of training. Accuracies are fractions; None if not measured."""

    step: int
    loss: float
    train_accuracy: float | None = None
    held_out_accuracy: float | None = None


def loss_curve(points: Sequence[CurvePoint]) -> pd.DataFrame:
    """Columns step, value and series, one row a point, for a line chart."""
    return pd.DataFrame(
        {
            "step": [point.step for point in points],
            "value": [point.loss for point in points],
            "series": "loss",
        }
    )


def accuracy_curves(
    points: Sequence[CurvePoint],
    hand_crafted: float | None,
    *,
    learned: str,
    training: str,
    flat_line: str,
    total_steps: int,
) -> pd.DataFrame:
    """Columns step, value (percent) and series: both accuracies of the learned prompt, and the
    hand-crafted one's as a flat line from the first to the last step.

    Args:
        hand_crafted: fraction of held-out pictures the hand-crafted prompt gets right, or None.
        learned, training, flat_line: what the three series are called.
    """
    rows: list[tuple[int, float, str]] = []
    for point in points:
        if point.held_out_accuracy is not None:
            rows.append((point.step, 100 * point.held_out_accuracy, learned))
        if point.train_accuracy is not None:
            rows.append((point.step, 100 * point.train_accuracy, training))
    if hand_crafted is not None:
        rows += [(step, 100 * hand_crafted, flat_line) for step in (0, total_steps)]
    return pd.DataFrame(rows, columns=["step", "value", "series"])
