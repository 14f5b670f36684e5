"""Held-out images and class vectors in one plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coop_demo.comparison.compare import Comparison
from coop_demo.errors import UserError


@dataclass(frozen=True)
class Projection:
    """Pictures and class vectors in the plane of the pictures' two main directions.

    Shape: pictures (K, 2), vectors of each method (C, 2), explained (2,) shares of the variance.
    """

    pictures: np.ndarray
    labels: np.ndarray
    vectors: Mapping[str, np.ndarray]
    titles: Mapping[str, str]
    explained: tuple[float, float]


def project(comparison: Comparison, methods: Sequence[str] | None = None) -> Projection:
    """PCA of the held-out pictures, with the class vectors of prompts and class means in it.

    Texts and pictures lie apart in CLIP's space by an offset that is the same for every class
    (Liang et al., NeurIPS 2022, arXiv 2203.02053) and shorter distances between texts. Each
    method's vectors are therefore moved to their own mean and scaled to the spread of the
    pictures' class means: directions between classes are to scale, distances between a text and
    a picture are not.

    Raises:
        UserError: there are fewer than two pictures, or all are alike.
    """
    features = comparison.prepared.test_features.double().numpy()  # (K, d)
    labels = comparison.labels.numpy()
    if len(features) < 2:
        raise UserError("A map needs two or more held-out pictures. Add test pictures.")
    centre = features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    if lengths[0] < 1e-9:
        raise UserError("All held-out pictures look the same to the model, so there is no map.")
    plane = np.zeros((2, features.shape[1]))
    plane[: min(2, len(axes))] = axes[:2]  # two pictures span one direction only
    # signs of singular vectors are arbitrary: fixed so that the map does not flip between runs
    plane *= np.sign(plane[np.arange(2), np.abs(plane).argmax(axis=1)])[:, None]
    shares = np.zeros(2)
    shares[: min(2, len(lengths))] = (lengths**2 / (lengths**2).sum())[:2]

    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    spread = _spread(means)
    vectors, titles = {}, {}
    for result in comparison.results:
        wanted = result.method in methods if methods is not None else True
        drawable = result.classifier.is_prompt or result.method == "class-mean"
        if wanted and drawable:
            weights = result.classifier.weights.double().numpy()
            centred = weights - weights.mean(axis=0)
            own = _spread(weights)
            factor = spread / own if own > 1e-9 and spread > 1e-9 else 1.0
            vectors[result.method] = factor * centred @ plane.T  # (C, 2)
            titles[result.method] = result.title
    return Projection(
        pictures=(features - centre) @ plane.T,
        labels=labels,
        vectors=vectors,
        titles=titles,
        explained=(float(shares[0]), float(shares[1])),
    )


def _spread(vectors: np.ndarray) -> float:
    """Root mean square distance from their mean."""
    return float(np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()))
