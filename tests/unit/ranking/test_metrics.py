"""Rank figures agree with scipy where scipy has them, and say None where they mean nothing."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

from coop_demo.ranking.metrics import (
    average_ranks,
    bootstrap_interval,
    contradictions,
    kendall_tau_b,
    pair_accuracy,
    plcc,
    ranking_metrics,
    srcc,
)


def samples():
    rng = np.random.default_rng(0)
    for n in (2, 3, 10, 60):
        yield rng.normal(size=n), rng.normal(size=n)
        x = rng.integers(0, 4, n).astype(float)
        x[:2] = 0, 1
        y = np.round(x + rng.normal(size=n))
        y[:2] = 3, 1
        yield x, y  # many ties
    x = np.arange(20.0)
    yield x, x**3
    yield x, -x
    yield x * 1e200, np.exp(x) * 1e-300


@pytest.mark.parametrize(("x", "y"), list(samples()))
def test_figures_agree_with_scipy(x, y):
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)
    assert kendall_tau_b(x, y) == pytest.approx(stats.kendalltau(x, y)[0], abs=1e-9)
    np.testing.assert_allclose(average_ranks(x), stats.rankdata(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy overflows on the last sample
        expected: Any = stats.pearsonr(x, y)[0]
    if np.isfinite(expected):
        assert plcc(x, y) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("x", "y"), list(samples()))
def test_pair_accuracy_equals_counting_pairs(x, y):
    earned = [
        0.5 if x[i] == x[j] else float((x[i] > x[j]) == (y[i] > y[j]))
        for i, j in itertools.combinations(range(len(x)), 2)
        if y[i] != y[j]
    ]
    assert pair_accuracy(x, y) == pytest.approx(np.mean(earned))


def test_ties_in_the_values_are_no_pairs():
    assert pair_accuracy([1, 2, 3], [0, 0, 1]) == 1.0
    assert pair_accuracy([1, 1, 1], [0, 1, 2]) == 0.5


@pytest.mark.parametrize("metric", [srcc, plcc, kendall_tau_b, pair_accuracy])
@pytest.mark.parametrize(
    ("scores", "values"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]),
        ([1.0, float("nan"), 3.0], [1.0, 2.0, 3.0]),
        ([1.0, 2.0, 3.0], [1.0, float("inf"), 3.0]),
    ],
)
def test_what_is_not_defined_is_none_and_warns_of_nothing(metric, scores, values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(scores, values) is None


@pytest.mark.parametrize("metric", [srcc, plcc, kendall_tau_b])
def test_equal_scores_have_no_correlation(metric):
    assert metric([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]) is None


def test_lists_of_different_lengths_are_a_mistake_of_ours():
    with pytest.raises(ValueError, match="2 scores for 3 values"):
        srcc([1, 2], [1, 2, 3])


def test_all_figures_of_one_order_come_together():
    result = ranking_metrics([1, 2, 3, 4], [1, 2, 4, 3])
    assert result.n == 4
    assert result.srcc == pytest.approx(0.8)
    assert result.plcc == pytest.approx(0.8)
    assert result.kendall == pytest.approx(4 / 6)
    assert result.pair_accuracy == pytest.approx(5 / 6)
    assert result.to_mapping()["n"] == 4


def test_contradictions_are_pairs_that_claim_the_same_both_ways():
    logits = np.array([[5.0, 1.0, 1.0], [2.0, 5.0, -1.0], [-1.0, -2.0, 5.0]])
    assert contradictions(logits).tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]


def test_interval_holds_the_figure_and_narrows_with_pictures():
    rng = np.random.default_rng(1)
    widths = []
    for n in (20, 320):
        v = rng.normal(size=n)
        s = v + rng.normal(size=n)
        interval = bootstrap_interval(srcc, s, v, draws=200)
        found = srcc(s, v)
        assert interval is not None
        assert found is not None
        assert interval[0] <= found <= interval[1]
        widths.append(interval[1] - interval[0])
    assert widths[1] < widths[0] / 2


def test_an_interval_of_what_is_not_defined_is_none():
    assert bootstrap_interval(srcc, [1, 1], [1, 2]) is None
