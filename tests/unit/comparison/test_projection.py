"""The projection is scikit-learn's PCA, or a sentence says why there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from coop_demo.comparison.methods import Classifier
from coop_demo.comparison.projection import project
from coop_demo.errors import UserError


def test_the_map_is_sklearns_pca(comparison):
    found = project(comparison)
    features = comparison.prepared.test_features.double().numpy()
    pca = PCA(2).fit(features)
    assert np.allclose(np.abs(found.pictures), np.abs(pca.transform(features)), atol=1e-6)
    assert found.explained == pytest.approx(tuple(pca.explained_variance_ratio_))
    assert set(found.vectors) == {"hand-crafted", "ensemble", "class-mean", "learned"}
    assert all(points.shape == (4, 2) for points in found.vectors.values())
    assert set(project(comparison, ["learned"]).vectors) == {"learned"}


def test_class_means_land_among_their_own_pictures(comparison):
    """On this set the test pictures' own means are near the shots' means in the plane."""
    means = torch.stack(
        [comparison.prepared.test_features[comparison.labels == c].mean(0) for c in range(4)]
    )
    own = Classifier("class-mean", "own means", means, 1.0)
    result = replace(comparison.results[0], classifier=own)
    found = project(replace(comparison, results=(result,)))
    for c in range(4):
        expected = found.pictures[found.labels == c].mean(axis=0)
        assert np.allclose(found.vectors["class-mean"][c], expected, atol=1e-4)


def test_pictures_that_are_all_alike_have_no_map(comparison):
    same = comparison.prepared.test_features[:1].expand(len(comparison.labels), -1)
    alike = replace(comparison, prepared=replace(comparison.prepared, test_features=same))
    with pytest.raises(UserError, match="look the same"):
        project(alike)
