"""Every method does what its paper says, and none looks at what it is judged by."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from tiny import separable_features, tiny_backbone

from coop_demo.comparison.methods import (
    COMPARISON_METHODS,
    TRAINING_FREE_METHODS,
    find_methods,
    hand_crafted,
    learn,
)
from coop_demo.comparison.rivals import (
    TIP_DEFAULT,
    _folds,
    fit,
    fit_logistic,
    gda,
    linear_probe,
    nearest_class_mean,
    tip_adapter,
)
from coop_demo.data.dataset import Dataset
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared
from coop_demo.prompts.templates import class_weights

FITTED = ("class-mean", "tip-adapter", "gda", "linear-probe")


def noisy(per_class=6, n_classes=4, d=24, noise=0.35, views=1, seed=0):
    """Classes that overlap, with a zero-shot guess of each centre: a problem with mistakes."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.nn.functional.normalize(torch.randn(n_classes, d, generator=g), dim=-1)
    labels = torch.arange(n_classes).repeat_interleave(per_class)
    features = centres[labels] + noise * torch.randn(views, len(labels), d, generator=g)
    hand_crafted = centres + 0.3 * torch.randn(n_classes, d, generator=g)
    unit = torch.nn.functional.normalize
    return unit(features, dim=-1), labels, unit(hand_crafted, dim=-1)


@pytest.mark.parametrize("method", FITTED)
def test_clear_classes_are_told_apart(method):
    features, labels = separable_features(per_class=6)
    test = torch.nn.functional.normalize(features[0] + features[1], dim=-1)
    hand_crafted = torch.nn.functional.normalize(torch.randn(3, 24), dim=-1)
    classifier = fit(method, features[:1], labels, hand_crafted, 30.0)
    assert (classifier.logits(test).argmax(-1) == labels).float().mean() == 1
    assert classifier.seconds > 0


@pytest.mark.parametrize("method", FITTED)
def test_one_picture_a_class_uses_defaults_and_stays_finite(method):
    features, labels, hand_crafted = noisy(per_class=1)
    classifier = fit(method, features, labels, hand_crafted, 30.0)
    assert torch.isfinite(classifier.logits(features[0])).all()
    if method != "class-mean":
        assert classifier.settings["chosen_by"] == "default"


@pytest.mark.parametrize("method", FITTED)
def test_identical_pictures_do_not_break_a_method(method):
    _, labels, hand_crafted = noisy(per_class=3)
    same = torch.nn.functional.normalize(torch.ones(1, len(labels), 24), dim=-1)
    assert torch.isfinite(fit(method, same, labels, hand_crafted, 30.0).logits(same[0])).all()


@pytest.mark.parametrize("method", FITTED)
def test_a_class_without_a_picture_is_named_not_crashed_on(method):
    features, labels, hand_crafted = noisy()
    kept = labels != 2
    with pytest.raises(UserError, match="Class 3 has no picture"):
        fit(method, features[:, kept], labels[kept], hand_crafted, 30.0)


def test_nearest_class_mean_is_nearest_centroid_on_unit_means():
    features, labels, _ = noisy()
    ours = nearest_class_mean(features, labels, 4, 30.0)
    centroids = NearestCentroid().fit(features[0].numpy(), labels.numpy()).centroids_
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    assert np.allclose(ours.weights.numpy(), centroids, atol=1e-6)


def test_tip_adapter_is_its_formula():
    features, labels, hand_crafted = noisy()
    ours = tip_adapter(features, labels, hand_crafted, 30.0)
    alpha, beta = ours.settings["alpha"], ours.settings["beta"]
    x = noisy(seed=1)[0][0]
    one_hot = torch.eye(4)[labels]
    expected = (
        30 * x @ hand_crafted.T + alpha * torch.exp(-beta * (1 - x @ features[0].T)) @ one_hot
    )
    assert torch.allclose(ours.logits(x), expected, atol=1e-4)


def test_tip_adapter_chooses_what_leave_one_out_by_hand_chooses():
    """A picture must be judged without its own vote: done here one picture at a time."""
    features, labels, hand_crafted = noisy(per_class=3, noise=0.6)
    keys = features[0]
    chosen = tip_adapter(features, labels, hand_crafted, 5.0)
    best = {}
    for alpha in (chosen.settings["alpha"], 0.1, 1.0, 8.0, 50.0):
        for beta in (chosen.settings["beta"], 1.0, 5.5, 30.0):
            right = 0
            for i in range(len(labels)):
                others = torch.arange(len(labels)) != i
                votes = torch.zeros(4)
                for j in torch.nonzero(others).flatten():
                    votes[labels[j]] += torch.exp(-beta * (1 - keys[i] @ keys[j]))
                votes[labels[i]] *= 3 / 2
                logits = 5.0 * hand_crafted @ keys[i] + alpha * votes
                right += int(logits.argmax() == labels[i])
            best[alpha, beta] = right
    assert best[chosen.settings["alpha"], chosen.settings["beta"]] == max(best.values())
    assert chosen.settings["chosen_by"] == "leave-one-out"


def test_tip_adapter_with_one_picture_takes_the_papers_defaults():
    features, labels, hand_crafted = noisy(per_class=1)
    settings = tip_adapter(features, labels, hand_crafted, 30.0).settings
    assert (settings["alpha"], settings["beta"]) == TIP_DEFAULT


def test_gda_is_the_papers_closed_form():
    features, labels, hand_crafted = noisy(per_class=8)
    ours = gda(features, labels, hand_crafted, 30.0)
    x, d, n = features[0].double().numpy(), 24, 32
    means = np.stack([x[labels.numpy() == c].mean(axis=0) for c in range(4)])
    centred = x - means[labels.numpy()]
    covariance = np.cov(centred.T)
    precision = d * np.linalg.inv((n - 1) * covariance + np.trace(covariance) * np.eye(d))
    alpha = ours.settings["alpha"]
    weights = 30 * hand_crafted.double().numpy() + alpha * means @ precision
    bias = -0.5 * alpha * np.einsum("cd,de,ce->c", means, precision, means)
    assert np.allclose(ours.weights.numpy(), weights, atol=1e-3)
    assert ours.bias is not None
    assert np.allclose(ours.bias.numpy(), bias, atol=1e-3)


def test_gda_without_words_and_with_many_pictures_agrees_with_linear_discriminant_analysis():
    features, labels, _ = noisy(per_class=100, d=8, noise=0.5)
    nothing = torch.zeros(4, 8)  # zero-shot logits that say nothing
    ours = gda(features, labels, nothing, 1.0).logits(features[0]).argmax(-1).numpy()
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(features[0].numpy(), labels.numpy())
    assert (ours == lda.predict(features[0].numpy())).mean() > 0.98


@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_the_linear_probe_is_scikit_learns_logistic_regression(strength):
    features, labels, _ = noisy(per_class=10, noise=0.6)
    weights, bias = fit_logistic(features, labels, 4, strength, max_iterations=2000)
    oracle = LogisticRegression(C=strength, max_iter=20000, tol=1e-8)
    oracle.fit(features[0].numpy(), labels.numpy())
    ours = torch.softmax(features[0] @ weights.T + bias, dim=-1).numpy()
    assert np.allclose(ours, oracle.predict_proba(features[0].numpy()), atol=2e-3)


def test_two_equal_views_weigh_as_much_as_one():
    features, labels, _ = noisy(per_class=5)
    once = fit_logistic(features, labels, 4, 10.0)[0]
    twice = fit_logistic(features.expand(2, -1, -1), labels, 4, 10.0)[0]
    assert torch.allclose(once, twice, atol=1e-3)


def test_folds_hold_out_every_picture_once_and_empty_no_class():
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 0, 2])
    folds = _folds(labels)
    held = torch.cat([fold for _, fold in folds]).tolist()
    assert sorted(held) == [0, 1, 2, 4, 5, 6, 7]  # picture 3 is alone in its class
    for kept, fold in folds:
        assert set(kept.tolist()).isdisjoint(fold.tolist())
        assert set(labels[kept].tolist()) == {0, 1, 2}
    assert _folds(torch.arange(4)) == []


def test_training_free_methods_take_no_step_down_a_gradient(monkeypatch):
    features, labels, hand_crafted = noisy(per_class=16, n_classes=20, d=512, views=4)
    for owner, name in ((torch.Tensor, "backward"), (torch.autograd, "grad")):
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("a gradient was taken"))
    for key in ("class-mean", "tip-adapter", "gda"):
        fit(key, features, labels, hand_crafted, 50.0)
    assert {"class-mean", "tip-adapter", "gda"} < set(TRAINING_FREE_METHODS)


def test_no_picture_gives_no_logits():
    features, labels, _ = noisy()
    classifier = linear_probe(features, labels, 4)
    assert classifier.logits(torch.empty(0, 24)).shape == (0, 4)


def test_features_of_another_width_are_a_sentence():
    features, labels, _ = noisy()
    with pytest.raises(UserError, match="width 24"):
        linear_probe(features, labels, 4).logits(torch.zeros(2, 7))


def test_a_method_that_needs_more_than_pictures_says_so():
    features, labels, hand_crafted = noisy()
    with pytest.raises(UserError, match="not fitted to pictures alone"):
        fit("ensemble", features, labels, hand_crafted, 1.0)


def test_several_hand_crafted_prompts_stand_beside_their_average():
    backbone = tiny_backbone()
    names, templates = ("cat", "dog"), ["a photo of a {}.", "{}"]
    found = hand_crafted(backbone, names, [*templates, "{}"])
    assert [c.method for c in found] == ["hand-crafted", "hand-crafted-2", "hand-crafted-mean"]
    assert torch.equal(found[2].weights, class_weights(backbone, names, templates).cpu())
    assert [c.method for c in hand_crafted(backbone, names, templates[:1])] == ["hand-crafted"]


def test_methods_come_in_one_order_each_once():
    assert [m.key for m in find_methods(["learned", "gda", "gda"])] == ["gda", "learned"]


def test_an_unknown_method_is_named():
    with pytest.raises(UserError, match='no method "magic"'):
        find_methods(["magic"])


def test_every_method_has_its_key_and_a_title():
    assert all(key == method.key and method.title for key, method in COMPARISON_METHODS.items())


@pytest.mark.parametrize(
    ("method", "specific", "weight"),
    [("learned", False, 0.0), ("learned-csc", True, 0.0), ("kgcoop", False, 8.0)],
)
def test_learn_trains_the_prompt_its_method_stands_for(method, specific, weight):
    features, labels = separable_features()
    names = ("red", "green", "blue")
    prepared = Prepared(
        Dataset(names, ()), 0, features, labels, features[0], labels, seconds_encoding=0.0
    )
    *_, classifier = learn(
        tiny_backbone(), prepared, method, shots=8, prompt_config=PromptConfig(n_ctx=4), steps=3
    )
    assert classifier.method == method
    assert classifier.prompt.prompt_config.class_specific is specific
    assert classifier.prompt.train_config.kgcoop_weight == weight
    assert classifier.settings["status"] == "finished"
    assert classifier.logits(features[0]).shape == (len(labels), 3)
