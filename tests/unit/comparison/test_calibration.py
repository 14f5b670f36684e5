"""Calibration figures follow their definitions, and a temperature never judges itself."""

import math

import pytest
import scipy.optimize
import sklearn.metrics
import torch
import torch.nn.functional as F
from comparing import made_logits

from coop_demo.comparison.calibration import calibrate, fit_temperature, reliability
from coop_demo.errors import UserError
from coop_demo.languages.english.comparison import at_bound_sentences


def test_a_temperature_that_ends_at_the_bounds_of_its_search_is_said():
    labels = torch.tensor([0, 1, 0, 1, 1, 0])
    right = torch.nn.functional.one_hot(labels, 2).float()
    found = {"Sure": calibrate(right, labels), "Wrong": calibrate(-right, labels)}
    assert [one.at_bound for one in found.values()] == [True, True]
    sure, wrong = at_bound_sentences(found)
    assert "right on every one" in sure
    assert "20" in wrong
    mixed = torch.where(torch.arange(6)[:, None] < 2, -right, right)
    assert not calibrate(mixed, labels).at_bound
    assert at_bound_sentences({"Mixed": calibrate(mixed, labels)}) == []


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    logits, labels = made_logits()
    found = reliability(logits, labels, n_bins=10)
    confidence, predicted = logits.double().softmax(-1).max(-1)
    expected = 0.0
    for i in range(10):
        inside = (confidence > i / 10) & (confidence <= (i + 1) / 10)
        if inside.any():
            right = (predicted[inside] == labels[inside]).double().mean()
            expected += float(inside.double().mean() * (confidence[inside].mean() - right).abs())
    assert found.ece == pytest.approx(expected, abs=1e-9)
    assert sum(b.n for b in found.bins) == len(labels)
    oracle = sklearn.metrics.log_loss(labels, logits.double().softmax(-1))
    assert found.nll == pytest.approx(oracle, rel=1e-6)


def test_the_temperature_is_the_one_an_optimiser_finds():
    logits, labels = made_logits()
    oracle = scipy.optimize.minimize_scalar(
        lambda t: float(F.cross_entropy(logits.double() / math.exp(t), labels)),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-8},
    )
    assert fit_temperature(logits, labels) == pytest.approx(math.exp(oracle.x), rel=1e-3)


def test_calibration_helps_overconfident_logits_on_pictures_it_was_not_fitted_to():
    logits, labels = made_logits(K=1000, sharp=10.0)
    found = calibrate(logits, labels)
    assert found.temperature > 2
    assert found.after.ece < found.before.ece / 3
    assert found.honest_ece is not None
    assert found.after.ece - 0.01 <= found.honest_ece < found.before.ece / 2
    assert found.after.accuracy == found.before.accuracy


def test_calibration_of_one_picture_of_perfect_answers_and_of_none():
    one = calibrate(torch.tensor([[2.0, 1.0]]), torch.tensor([0]))
    assert one.honest_ece is None
    assert 0 < one.temperature < 0.1  # always right: the surer the better, down to the bound
    empty = torch.empty(0, 3), torch.empty(0, dtype=torch.long)
    assert fit_temperature(*empty) is None
    assert reliability(*empty).ece is None
    with pytest.raises(UserError, match="there are none"):
        calibrate(*empty)
    with pytest.raises(UserError, match="above 0"):
        reliability(*made_logits(), temperature=0.0)
