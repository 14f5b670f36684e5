"""Nearest words are the nearest, their chance level stands beside them, and replacing is real."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny import separable_features, tiny_backbone

from coop_demo.errors import PromptError
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.training import fast, train_prompt
from coop_demo.prompts.words import nearest_words, replaced_by_words, words_accuracy

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def prompt_of(backbone, steps=5, **prompt):
    features, labels = separable_features()
    config = PromptConfig(**{"n_ctx": 3, **prompt})
    *_, event = train_prompt(backbone, features, labels, NAMES, config, fast(steps=steps))
    return event.prompt


def test_words_a_context_is_made_of_are_its_nearest_words(backbone):
    prompt = prompt_of(backbone, n_ctx=4)
    words = ["a", "photo", "of", "elephant"]
    ids = [backbone.tokenizer.encode(word)[0] for word in words]
    ctx = backbone.text_tower.vocabulary[ids].clone()
    found = nearest_words(backbone, replace(prompt, ctx=ctx), k=3)
    assert [row.by_cosine[0].word for row in found] == words
    assert [row.by_distance[0].word for row in found] == words
    assert all(row.by_cosine[0].value == pytest.approx(1, abs=1e-5) for row in found)
    assert all(row.by_distance[0].value == pytest.approx(0, abs=2e-3) for row in found)
    assert [row.position for row in found] == [1, 2, 3, 4]


def test_both_measures_agree_with_a_plain_search(backbone):
    prompt = prompt_of(backbone)
    special = [backbone.tokenizer.sot_token_id, backbone.tokenizer.eot_token_id]
    vocabulary = backbone.text_tower.vocabulary
    for m, row in enumerate(nearest_words(backbone, prompt, k=4)):
        cosine = F.cosine_similarity(prompt.ctx[m][None], vocabulary)
        distance = torch.cdist(prompt.ctx[m][None], vocabulary)[0]
        cosine[special], distance[special] = -2, 1e9
        assert [w.token for w in row.by_cosine] == cosine.topk(4).indices.tolist()
        expected = distance.topk(4, largest=False)
        assert [w.value for w in row.by_distance] == pytest.approx(
            expected.values.tolist(), abs=1e-3
        )


def test_a_class_specific_context_has_words_for_every_class(backbone):
    found = nearest_words(backbone, prompt_of(backbone, class_specific=True), k=1)
    assert [(row.class_name, row.position) for row in found] == [
        (name, m) for name in NAMES for m in (1, 2, 3)
    ]


def test_only_whole_words_on_request(backbone):
    prompt = prompt_of(backbone)
    pieces = [w.word for row in nearest_words(backbone, prompt, k=30) for w in row.by_cosine]
    whole = [
        w.word
        for row in nearest_words(backbone, prompt, k=30, whole_words=True)
        for w in row.by_cosine
    ]
    assert any(word.endswith("…") for word in pieces)
    assert all(word.isalpha() for word in whole)


def test_a_random_vector_is_as_near_as_the_random_figure_says(backbone):
    """An untrained random context of the same length must not look learned."""
    prompt = prompt_of(backbone)
    ctx = 0.9 * F.normalize(torch.randn(3, 32, generator=torch.Generator().manual_seed(9)), dim=-1)
    for row in nearest_words(backbone, replace(prompt, ctx=ctx)):
        assert row.norm == pytest.approx(0.9, abs=1e-5)
        assert row.by_distance[0].value == pytest.approx(row.random_distance, rel=0.1)
        assert row.by_cosine[0].value == pytest.approx(row.random_cosine, abs=0.12)


@pytest.mark.parametrize("class_specific", [False, True])
def test_replacing_puts_words_in_place_and_computes_the_weights_anew(backbone, class_specific):
    prompt = prompt_of(backbone, class_specific=class_specific)
    replaced = replaced_by_words(backbone, prompt, metric="cosine")
    nearest = [row.by_cosine[0].token for row in nearest_words(backbone, prompt, k=1)]
    expected = backbone.text_tower.vocabulary[nearest].reshape(prompt.ctx.shape)
    assert torch.equal(replaced.ctx, expected)
    learner = PromptLearner(
        backbone.text_tower, backbone.tokenizer, NAMES, prompt.prompt_config, ctx=expected
    )
    assert torch.allclose(replaced.class_weights, learner(), atol=1e-6)
    again = replaced_by_words(backbone, replaced, metric="distance")
    assert torch.equal(again.ctx, replaced.ctx)  # words are their own nearest words


def test_accuracy_is_measured_for_every_version_and_none_without_pictures(backbone):
    prompt = prompt_of(backbone, steps=60)
    features, labels = separable_features()
    hand = F.normalize(torch.randn(3, 24), dim=-1)
    found = words_accuracy(backbone, prompt, features[0], labels, hand_crafted=hand)
    for metric, value in (("cosine", found.by_cosine), ("distance", found.by_distance)):
        weights = replaced_by_words(backbone, prompt, metric=metric).class_weights
        right = (features[0] @ weights.T).argmax(-1) == labels
        assert value == pytest.approx(float(right.float().mean()))
    assert found.learned is not None
    assert found.hand_crafted is not None
    empty = words_accuracy(backbone, prompt, features[0][:0], labels[:0])
    assert (empty.learned, empty.by_cosine, empty.by_distance, empty.hand_crafted) == (None,) * 4


def test_another_backbone_or_a_wrong_choice_is_a_sentence(backbone):
    prompt = prompt_of(backbone)
    with pytest.raises(PromptError, match="was learned with"):
        nearest_words(tiny_backbone(seed=3), prompt)
    with pytest.raises(PromptError, match="1 or more"):
        nearest_words(backbone, prompt, k=0)
    with pytest.raises(PromptError, match="choose one of cosine, distance"):
        replaced_by_words(backbone, prompt, metric="manhattan")
