"""Methods side by side on the same held-out images: what fails costs itself, and nothing cheats."""

from dataclasses import replace

import pytest
import torch
from comparing import FAST, last, made_set, write_set
from tiny import tiny_backbone

from coop_demo.comparison.base_to_new import base_to_new
from coop_demo.comparison.compare import Comparison, MethodResult, compare
from coop_demo.comparison.projection import project
from coop_demo.comparison.statistics import score
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import TeachResult, teach
from coop_demo.prompts.training import TrainEvent

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
        taught.hand_crafted_accuracy
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
    events = base_to_new(backbone, dataset, new_classes=["purple", long], **FAST)
    with pytest.raises(PromptError):
        next(events)
    with pytest.raises(PromptError, match="above 0"):
        next(base_to_new(backbone, dataset, kgcoop_weight=0.0, **FAST))
