"""Base-to-new: what a learned prompt does to classes that it never saw."""

import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from comparing import FAST, last, made_set

from coop_demo.backbones.features import encode_all
from coop_demo.comparison.base_to_new import BaseToNew, apply_to_names, base_to_new
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, class_weights
from coop_demo.prompts.training import TrainEvent


def test_forgetting_judges_learned_and_new_classes_apart(backbone, dataset):
    found = last(base_to_new(backbone, dataset, **FAST))
    assert isinstance(found, BaseToNew)
    assert found.base_names == dataset.class_names[:2]
    assert found.new_names == dataset.class_names[2:]
    assert [row.method for row in found.rows] == ["hand-crafted", "learned", "kgcoop"]
    assert all(row.base.n == row.new.n == 8 for row in found.rows)
    row = found.rows[0]
    expected = scipy.stats.hmean([row.base.accuracy, row.new.accuracy])
    assert row.harmonic_mean == pytest.approx(expected)


def test_a_strong_pull_keeps_new_classes_where_the_words_have_them(backbone, dataset):
    prompt_config = PromptConfig(n_ctx=4)
    events = list(base_to_new(backbone, dataset, shots=3, steps=30, prompt_config=prompt_config))
    trained = [e.prompt for e in events if isinstance(e, TrainEvent) and e.status == "finished"]
    anchor = class_weights(backbone, dataset.class_names[:2], [DEFAULT_TEMPLATE])
    free, pulled = ((p.class_weights - anchor).square().sum() for p in trained)
    assert [p.train_config.kgcoop_weight for p in trained] == [0, 8]
    assert pulled < free


def test_chosen_classes_can_be_the_new_ones(backbone, dataset):
    names = dataset.class_names
    found = last(base_to_new(backbone, dataset, new_classes=[names[0].upper(), names[2]], **FAST))
    assert found.new_names == (names[0], names[2])


def test_names_without_pictures_are_more_wrong_answers(backbone, dataset):
    found = last(base_to_new(backbone, dataset, new_classes=["purple", "sky_blue"], **FAST))
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
    found = last(base_to_new(backbone, dataset, new_classes=[names[0], "purple"], **FAST))
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


def test_classes_that_cannot_be_judged_apart_are_refused(backbone, tmp_path, dataset):
    three = made_set(tmp_path, names=("red", "green", "blue"))
    with pytest.raises(UserError, match="2 or more are needed on either side"):
        last(base_to_new(backbone, three, **FAST))
    with pytest.raises(UserError, match="Hold out one more class"):
        last(base_to_new(backbone, dataset, new_classes=dataset.class_names[:1], **FAST))
    with pytest.raises(UserError, match="101 typed names are too many"):
        last(base_to_new(backbone, dataset, new_classes=[f"n{i}" for i in range(101)], **FAST))
    with pytest.raises(UserError, match="Shorten it"):
        last(base_to_new(backbone, dataset, new_classes=["a" * 1000], **FAST))
    with pytest.raises(UserError, match="empty"):
        last(base_to_new(backbone, dataset, new_classes=["red", " "], **FAST))


def test_a_class_specific_context_is_refused(backbone, dataset):
    with pytest.raises(PromptError, match="unified"):
        last(base_to_new(backbone, dataset, prompt_config=PromptConfig(class_specific=True)))


def test_a_prompt_on_its_own_names_is_itself(backbone, comparison):
    prompt = comparison.result("learned").classifier.prompt
    again, words = apply_to_names(backbone, prompt, prompt.class_names)
    assert torch.allclose(again.weights, prompt.class_weights, atol=1e-5)
    assert torch.equal(words.weights, comparison.result("hand-crafted").classifier.weights)
