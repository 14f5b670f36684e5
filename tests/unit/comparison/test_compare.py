"""Numbers agree with independent oracles, and bad input gets a sentence or a defined value."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import sklearn.metrics
import torch
import torch.nn.functional as F
from comparing import made_set, write_picture, write_set
from sklearn.decomposition import PCA
from tiny import tiny_backbone

from coop_demo.backbones.features import encode_all
from coop_demo.comparison.calibration import calibrate, fit_temperature, reliability
from coop_demo.comparison.compare import Comparison, MethodResult, compare
from coop_demo.comparison.confusion import cell_pictures, confusion_matrix, disagreements, per_class
from coop_demo.comparison.forgetting import Forgetting, apply_to_names, forgetting
from coop_demo.comparison.methods import Classifier
from coop_demo.comparison.projection import project
from coop_demo.comparison.shift import Shift, shift
from coop_demo.comparison.statistics import holm, mcnemar, score, wilson_interval
from coop_demo.comparison.strings import at_bound_sentences, paired_sentence
from coop_demo.comparison.verdict import Outcome, against_best
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import TeachResult, teach
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, class_weights
from coop_demo.prompts.training import TrainEvent

FAST = {"shots": 3, "steps": 4, "prompt_config": PromptConfig(n_ctx=4)}


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_set(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def comparison(backbone, dataset):
    return last(compare(backbone, dataset, **FAST))


def last(events):
    *_, result = events
    return result


def made_logits(K=200, C=5, seed=0, sharp=3.0):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(C, (K,), generator=g)
    logits = sharp * (torch.randn(K, C, generator=g) + 0.8 * F.one_hot(labels, C))
    return logits, labels


# ---- accuracy and the paired test


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


def test_the_sentence_says_who_is_better_and_whether_it_could_be_chance():
    yes, no = torch.ones(20, dtype=torch.bool), torch.zeros(20, dtype=torch.bool)
    assert paired_sentence(mcnemar(yes, no), "A", "B").startswith("A is better")
    assert paired_sentence(mcnemar(no, yes), "A", "B").startswith("B is better")
    assert "could be chance" in paired_sentence(mcnemar(yes[:2], no[:2]), "A", "B")


def test_holm_gives_the_textbook_values_and_never_falls():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"one": 0.7}) == {"one": 0.7}


def test_the_best_of_several_rivals_is_judged_with_a_corrected_p_value():
    right = torch.tensor([True] * 8 + [False] * 12)
    worse = torch.zeros(20, dtype=torch.bool)
    alone = against_best(right, {"a": worse}, most_right="a")
    one_of_four = against_best(right, dict.fromkeys("abcd", worse), most_right="a")
    assert alone.p_value == pytest.approx(2 * 0.5**8)
    assert one_of_four.p_value == pytest.approx(4 * 2 * 0.5**8)
    assert alone.outcome is one_of_four.outcome is Outcome.BETTER
    assert against_best(right[:6], dict.fromkeys("abcd", worse[:6]), most_right="a").outcome is (
        Outcome.AHEAD
    )
    said = paired_sentence(one_of_four.test, "A", "B", rival=one_of_four)
    assert "corrected for 4 rivals" in said


# ---- calibration


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


# ---- where it goes wrong


def test_confusion_and_class_scores_are_sklearns():
    logits, labels = made_logits()
    predicted = logits.argmax(-1)
    ours = confusion_matrix(predicted, labels, 5)
    assert (ours == sklearn.metrics.confusion_matrix(labels, predicted)).all()
    recall = sklearn.metrics.recall_score(labels, predicted, average=None)
    assert [s.accuracy for s in per_class(predicted, labels, 5)] == pytest.approx(list(recall))
    cell = cell_pictures(predicted, labels, 1, 2)
    assert len(cell) == ours[1, 2]
    assert all(labels[k] == 1 and predicted[k] == 2 for k in cell)


def test_all_predictions_equal_and_an_empty_cell_are_defined():
    labels = torch.tensor([0, 1, 1])
    predicted = torch.zeros(3, dtype=torch.long)
    assert confusion_matrix(predicted, labels, 3).tolist() == [[1, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert cell_pictures(predicted, labels, 0, 2) == ()
    assert [s.accuracy for s in per_class(predicted, labels, 3)] == [1.0, 0.0, None]


def test_disagreements_part_every_picture_where_answers_differ():
    first, labels = made_logits(seed=1)
    second, _ = made_logits(seed=2)
    found = disagreements(first, second, labels)
    a, b = first.argmax(-1), second.argmax(-1)
    every = [*found.only_first_right, *found.only_second_right, *found.both_wrong]
    assert sorted(every) == torch.nonzero(a != b).flatten().tolist()
    assert all(a[k] == labels[k] != b[k] for k in found.only_first_right)
    assert all(a[k] != labels[k] == b[k] for k in found.only_second_right)
    sure = [
        float(first[k].softmax(-1).max() + second[k].softmax(-1).max()) for k in found.both_wrong
    ]
    assert sure == sorted(sure, reverse=True)


# ---- calibration


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


# ---- methods side by side


def test_a_comparison_shows_methods_that_need_no_training_first(backbone, dataset):
    events = list(compare(backbone, dataset, **FAST))
    order = [e.method for e in events if isinstance(e, MethodResult)]
    assert order == [
        "hand-crafted", "class-mean", "tip-adapter", "gda", "ensemble", "linear-probe", "learned",
    ]  # fmt: skip
    first_training = next(i for i, e in enumerate(events) if isinstance(e, TrainEvent))
    assert sum(isinstance(e, MethodResult) for e in events[:first_training]) == 6
    result = events[-1]
    assert isinstance(result, Comparison)
    assert result.problems == ()
    assert len(result.pictures) == len(result.labels) == 16
    for row in result.results:
        again = row.classifier.logits(result.prepared.test_features)
        assert torch.equal(row.logits, again)
        assert row.score == score(again.argmax(-1), result.labels)


def test_the_learned_prompt_of_a_comparison_is_the_one_teach_learns(backbone, dataset, comparison):
    taught = last(teach(backbone, dataset, **FAST))
    assert isinstance(taught, TeachResult)
    ours = comparison.result("learned")
    assert torch.equal(ours.classifier.prompt.ctx, taught.prompt.ctx)
    assert ours.score.accuracy == pytest.approx(taught.learned_accuracy)
    assert comparison.result("hand-crafted").score.accuracy == pytest.approx(
        taught.zero_shot_accuracy
    )


def test_a_prompt_that_is_there_is_not_trained_again(backbone, dataset):
    taught = last(teach(backbone, dataset, **FAST))
    events = list(compare(backbone, dataset, prompts=[taught.prompt], **FAST))
    assert not any(isinstance(e, TrainEvent) for e in events)
    assert events[-1].result("learned").classifier.prompt is taught.prompt
    other = tiny_backbone(seed=5)
    with pytest.raises(PromptError, match="was learned with"):
        last(compare(other, dataset, prompts=[taught.prompt], **FAST))


def test_one_method_that_fails_costs_itself_only(backbone, dataset):
    long = "word " * 60
    events = compare(backbone, dataset, methods=["class-mean", "learned"], shots=3, steps=3,
                     prompt_config=PromptConfig(init=long))  # fmt: skip
    result = last(events)
    assert [r.method for r in result.results] == ["hand-crafted", "class-mean"]
    assert "Learned prompt was left out" in result.problems[0]
    with pytest.raises(UserError, match='"learned" was not compared'):
        result.result("learned")


def test_a_single_test_picture_is_measured_and_said_to_mean_little(backbone, tmp_path):
    dataset = made_set(tmp_path, names=("red", "green"), test=0, train=3)
    one = Dataset(dataset.class_names, dataset.train[:2] + dataset.train[3:], dataset.train[2:3])
    result = last(compare(backbone, one, methods=["class-mean"], shots=2))
    assert result.result("class-mean").score.n == 1
    notes = " ".join(result.notes)
    assert "There is 1 held-out picture" in notes
    assert 'No held-out pictures of "red"' in notes or 'No held-out pictures of "green"' in notes
    with pytest.raises(UserError, match="two or more"):
        project(result)


def test_no_held_out_pictures_is_a_sentence(backbone, comparison):
    bare = replace(
        comparison.prepared,
        test_features=torch.empty(0, 24),
        test_labels=torch.empty(0, dtype=torch.long),
    )
    with pytest.raises(UserError, match="no held-out pictures"):
        last(compare(backbone, bare, **FAST))


# ---- forgetting


def test_forgetting_judges_learned_and_new_classes_apart(backbone, dataset):
    found = last(forgetting(backbone, dataset, **FAST))
    assert isinstance(found, Forgetting)
    assert found.base_names == dataset.class_names[:2]
    assert found.new_names == dataset.class_names[2:]
    assert [row.method for row in found.rows] == ["hand-crafted", "learned", "kgcoop"]
    assert all(row.base.n == row.new.n == 8 for row in found.rows)
    row = found.rows[0]
    expected = scipy.stats.hmean([row.base.accuracy, row.new.accuracy])
    assert row.harmonic_mean == pytest.approx(expected)


def test_a_strong_pull_keeps_new_classes_where_the_words_have_them(backbone, dataset):
    prompt_config = PromptConfig(n_ctx=4)
    events = list(forgetting(backbone, dataset, shots=3, steps=30, prompt_config=prompt_config))
    trained = [e.prompt for e in events if isinstance(e, TrainEvent) and e.status == "finished"]
    anchor = class_weights(backbone, dataset.class_names[:2], [DEFAULT_TEMPLATE])
    free, pulled = ((p.class_weights - anchor).square().sum() for p in trained)
    assert [p.train_config.kgcoop_weight for p in trained] == [0, 8]
    assert pulled < free


def test_chosen_classes_can_be_the_new_ones(backbone, dataset):
    names = dataset.class_names
    found = last(forgetting(backbone, dataset, new_classes=[names[0].upper(), names[2]], **FAST))
    assert found.new_names == (names[0], names[2])


def test_names_without_pictures_are_more_wrong_answers(backbone, dataset):
    found = last(forgetting(backbone, dataset, new_classes=["purple", "sky_blue"], **FAST))
    assert found.base_names == dataset.class_names
    assert found.new_names == ("purple", "sky blue")
    assert found.n_without_pictures == 2
    for row in found.rows:
        assert row.new.n == 0
        assert row.harmonic_mean is None
        assert row.base.n == row.together.n == 16
        assert row.together.correct <= row.base.correct


def test_all_names_together_judge_the_pictures_of_both_sides(backbone, dataset):
    names = dataset.class_names
    found = last(forgetting(backbone, dataset, new_classes=[names[0], "purple"], **FAST))
    assert found.new_names == (names[0], "purple")
    row = found.rows[0]
    assert row.together.n == row.base.n + row.new.n
    assert row.together.correct <= row.base.correct + row.new.correct
    # the hand-crafted row is the same as plain zero-shot with all those names
    words = class_weights(backbone, [*names[1:], names[0], "purple"], [DEFAULT_TEMPLATE])
    pictures = [item.picture for item in dataset.test]
    features = F.normalize(encode_all(backbone, pictures).features, dim=-1)
    renumbered = torch.tensor([(item.label - 1) % len(names) for item in dataset.test])
    right = ((features @ words.T).argmax(-1) == renumbered).sum()
    assert row.together.correct == int(right)


def test_too_few_classes_and_class_specific_contexts_are_refused(backbone, tmp_path, dataset):
    three = made_set(tmp_path, names=("red", "green", "blue"))
    with pytest.raises(UserError, match="2 or more are needed on either side"):
        last(forgetting(backbone, three, **FAST))
    with pytest.raises(UserError, match="Hold out one more class"):
        last(forgetting(backbone, dataset, new_classes=dataset.class_names[:1], **FAST))
    with pytest.raises(UserError, match="101 typed names are too many"):
        last(forgetting(backbone, dataset, new_classes=[f"n{i}" for i in range(101)], **FAST))
    with pytest.raises(UserError, match="Shorten it"):
        last(forgetting(backbone, dataset, new_classes=["a" * 1000], **FAST))
    with pytest.raises(UserError, match="empty"):
        last(forgetting(backbone, dataset, new_classes=["red", " "], **FAST))
    with pytest.raises(PromptError, match="unified"):
        last(forgetting(backbone, dataset, prompt_config=PromptConfig(class_specific=True)))


def test_a_prompt_on_its_own_names_is_itself(backbone, comparison):
    prompt = comparison.result("learned").classifier.prompt
    again, words = apply_to_names(backbone, prompt, prompt.class_names)
    assert torch.allclose(again.weights, prompt.class_weights, atol=1e-5)
    assert torch.equal(words.weights, comparison.result("hand-crafted").classifier.weights)


# ---- train here, test there


def test_shift_matches_classes_by_name_whatever_their_order(backbone, comparison, tmp_path):
    second = made_set(tmp_path / "b", names=("YELLOW", "blue", "pink", "red"), seed=77)
    found = last(shift(backbone, comparison, second))
    assert isinstance(found, Shift)
    assert set(found.class_names) == {"blue", "red", "yellow"}
    assert any("green" in note for note in found.notes)
    assert any("pink" in note for note in found.notes)
    assert [row.method for row in found.rows] == [r.method for r in comparison.results]
    by_method = {row.method: row for row in found.rows}
    row = by_method["class-mean"]
    assert row.here.n == row.there.n == 12
    assert row.fall == pytest.approx((row.here.correct - row.there.correct) / 12)


def test_a_set_shifted_to_itself_falls_by_nothing(backbone, comparison, dataset):
    found = last(shift(backbone, comparison, dataset))
    assert all(row.fall == 0 for row in found.rows)


def test_pictures_that_were_learned_from_do_not_count_there(backbone, comparison, dataset):
    as_test = Dataset(dataset.class_names, (), dataset.train)
    found = last(shift(backbone, comparison, as_test))
    n_shots = len(comparison.prepared.dataset.train)
    assert found.rows[0].there.n == len(dataset.train) - n_shots
    assert any("learned from the same" in note for note in found.notes)


def test_a_second_set_of_other_classes_is_a_sentence(backbone, comparison, tmp_path):
    for name in ("pink", "brown"):
        write_picture(tmp_path / name / "a.png", (9, 9, 9), 1)
        write_picture(tmp_path / name / "b.png", (9, 9, 9), 2)
    with pytest.raises(UserError, match="none of"):
        last(shift(backbone, comparison, read_folder(tmp_path)))


# ---- the map


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


# ---- prompts that are there already, and sets that were not checked


def test_a_given_prompt_is_compared_whatever_methods_were_asked_for(backbone, dataset):
    config = PromptConfig(n_ctx=4, class_specific=True)
    taught = last(teach(backbone, dataset, shots=3, steps=4, prompt_config=config))
    found = last(compare(backbone, dataset, methods=["learned"], prompts=[taught.prompt], **FAST))
    assert found.result("learned-csc").classifier.prompt is taught.prompt
    with pytest.raises(PromptError, match="one of a kind"):
        last(compare(backbone, dataset, prompts=[taught.prompt, taught.prompt], **FAST))


def test_a_prompt_is_not_judged_on_held_out_pictures_it_may_have_learned_from(backbone, tmp_path):
    without_test = made_set(tmp_path, train=8, test=0)
    taught = last(teach(backbone, without_test, seed=2, **FAST))
    with pytest.raises(PromptError, match="trained with seed 2"):
        last(compare(backbone, without_test, prompts=[taught.prompt], seed=1, **FAST))
    found = last(compare(backbone, without_test, prompts=[taught.prompt], seed=2, **FAST))
    assert found.result("learned").score.accuracy == pytest.approx(taught.learned_accuracy)


def test_a_damaged_test_picture_costs_itself_and_is_named(backbone, tmp_path):
    root = write_set(tmp_path)
    broken = sorted((root / "test" / "red").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:40])
    unchecked = read_folder(root, check=False)
    taught = last(teach(backbone, unchecked, **FAST))
    assert taught.n_test == len(unchecked.test) - 1
    assert any(broken.name in problem for problem in taught.dataset.problems)
    found = last(compare(backbone, unchecked, **FAST))
    assert len(found.pictures) == len(found.labels) == len(unchecked.test) - 1
    names = [item.picture.name for item in found.pictures]
    assert all(broken.name not in name or "red" not in name for name in names)


def test_names_too_long_for_the_context_are_refused_before_anything_is_learned(backbone, dataset):
    long = " ".join(str(n) for n in range(60))
    events = forgetting(backbone, dataset, new_classes=["purple", long], **FAST)
    with pytest.raises(PromptError):
        next(events)
    with pytest.raises(PromptError, match="above 0"):
        next(forgetting(backbone, dataset, kgcoop_weight=0.0, **FAST))
