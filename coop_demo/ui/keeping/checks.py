"""Whether what was read belongs together, beyond the kinds of its parts.

False, or a UserError: it does not.
"""

import math
from typing import Any

import torch
from torch import Tensor

from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.ranking.order import RANKING_METHODS
from coop_demo.settings import LIMITS
from coop_demo.ui.rank.state import AMOUNT, MAX_PICTURES, PLACE
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE, MAX_STEPS_PAGE, TeachSettings


def _is_finite(*tensors: Tensor | None) -> bool:
    return all(
        one is None or not one.is_floating_point() or bool(torch.isfinite(one).all())
        for one in tensors
    )


def _are_labels(labels: Tensor, n_classes: int) -> bool:
    whole = labels.ndim == 1 and labels.dtype == torch.long
    return whole and bool(((labels >= 0) & (labels < n_classes)).all())


def classes(held: Any) -> bool:
    n_pictures = sum(len(row.pictures) + len(row.test) for row in held.rows)
    return (
        2 <= len(held.rows) <= LIMITS.max_classes
        and n_pictures <= LIMITS.max_zip_files
        and all(len(row.name) <= 2 * LIMITS.max_class_name for row in held.rows)
        and len(held.template) <= LIMITS.max_template
    )


def settings(held: Any) -> bool:
    return held.teach is None or _chosen(held.teach)


def _chosen(teach: TeachSettings) -> bool:
    teach.train_config(1)  # raises when a number is out of range
    return (
        1 <= teach.shots <= MAX_SHOTS_PAGE
        and (teach.steps is None or 1 <= teach.steps <= MAX_STEPS_PAGE)
        and len(teach.template) <= LIMITS.max_template
        and "{}" in teach.template
    )


def taught(one: Any) -> bool:
    weights, words = one.prompt.class_weights, one.hand_crafted_weights
    verdict = one.verdict
    return (
        weights.shape == words.shape
        and words.dtype == torch.float32
        and _is_finite(words)
        and (
            verdict is None
            or 0 <= max(verdict.learned_right, verdict.words_right) <= verdict.n_test > 0
        )
    )


def under_way(one: Any) -> bool:
    state, n_classes = one.state, len(one.dataset.class_names)
    return (
        1 <= state.step < one.total_steps <= MAX_STEPS_PAGE
        and _chosen(one.settings)
        and taught(one.taught)
        and state.best is not None
        and state.best.class_names == one.dataset.class_names
        and len(one.taught.prompt.class_names) == n_classes
        and _is_finite(state.ctx, *state.optimizer.values())
    )


def pile(held: Any) -> bool:
    contents = {picture.content for picture in held.pictures}
    names = {picture.name for picture in held.pictures}
    return (
        len(held.pictures) == len(contents) == len(names) <= MAX_PICTURES
        and None not in contents
        and held.meaning in (AMOUNT, PLACE)
        and all(math.isfinite(number) for number in held.numbers.values())
        and all(map(order, held.orders))
    )


def order(one: Any) -> bool:
    n, m = len(one.pictures), len(one.compared)
    return (
        bool(one.scores)
        and one.scores.keys() <= set(RANKING_METHODS)
        and one.values.shape == (n,)
        and all(scores.shape == (n,) for scores in one.scores.values())
        and all(0 <= at < n for at in one.compared)
        and (one.pair_logits is None or one.pair_logits.shape == (m, m))
    )


def compared(one: Any) -> bool:
    found, prepared = one.comparison, one.comparison.prepared
    C, K, N = len(found.class_names), len(prepared.test_labels), len(prepared.train_labels)
    d = prepared.test_features.shape[-1]
    return (
        prepared.test_features.shape == (K, d)
        and prepared.train_features.shape[1:] == (N, d)
        and _are_labels(prepared.test_labels, C)
        and _are_labels(prepared.train_labels, C)
        and _is_finite(prepared.test_features, prepared.train_features, prepared.hand_crafted)
        and "hand-crafted" in [result.method for result in found.results]
        and all(
            (result.method in COMPARISON_METHODS or result.method.startswith("hand-crafted"))
            and result.logits.shape == (K, C)
            and result.classifier.weights.shape == (C, d)
            and _is_finite(result.logits, result.classifier.weights, result.classifier.bias)
            for result in found.results
        )
    )
