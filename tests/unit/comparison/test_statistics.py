"""Accuracies, intervals and paired tests agree with scipy, and are defined for every input."""

import pytest
import scipy.stats
import torch

from coop_demo.comparison.statistics import holm, mcnemar, score, wilson_interval
from coop_demo.languages.english.comparison import paired_sentence


@pytest.mark.parametrize(("correct", "n"), [(0, 1), (1, 1), (7, 9), (0, 40), (40, 40), (312, 400)])
def test_wilson_interval_is_scipys(correct, n):
    oracle = scipy.stats.binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_no_pictures_have_no_accuracy():
    empty = torch.empty(0, dtype=torch.long)
    found = score(empty, empty)
    assert (found.n, found.accuracy, found.low) == (0, None, None)
    assert "not measured" in str(found)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 9), (9, 3), (5, 5), (40, 10), (900, 1100)])
def test_mcnemar_is_the_exact_binomial_test(b, c):
    first = torch.tensor([True] * b + [False] * c + [True] * 3)
    second = torch.tensor([False] * b + [True] * c + [True] * 3)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (b, c)
    oracle = scipy.stats.binomtest(b, b + c)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-6)
    half = scipy.stats.binom.pmf(min(b, c), b + c, 0.5)
    tail = scipy.stats.binom.cdf(min(b, c), b + c, 0.5)
    assert found.mid_p == pytest.approx(min(1.0, 2 * tail - half), rel=1e-6)


def test_a_paired_test_without_disagreement_is_defined():
    same = torch.tensor([True, False])
    found = mcnemar(same, same)
    assert (found.p_value, found.mid_p) == (1, 1)
    assert "exactly the same" in paired_sentence(found, "A", "B")
    with pytest.raises(ValueError, match="not paired"):
        mcnemar(same, same[:1])


def test_holm_gives_the_textbook_values_and_never_falls():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"one": 0.7}) == {"one": 0.7}
