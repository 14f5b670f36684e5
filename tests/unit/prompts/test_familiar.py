"""Pictures that may be none of the classes are told from those that are."""

import pytest
import torch
import torch.nn.functional as F
from tiny import separable_features

from coop_demo.prompts.familiar import MIN_HELD_OUT, MIN_PICTURES, Familiar, familiar_from


def around(vectors: torch.Tensor, per_class: int, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    many = vectors.repeat_interleave(per_class, dim=0)
    return F.normalize(many + 0.2 * torch.randn(many.shape, generator=generator), dim=-1)


@pytest.fixture
def classes() -> torch.Tensor:
    return F.normalize(torch.randn(3, 24, generator=torch.Generator().manual_seed(3)), dim=-1)


def test_the_score_is_the_top_cosines_with_means_and_texts():
    means = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    texts = torch.tensor([[0.0, 0, 1], [0, 1, 0]])
    familiar = Familiar(means, text_share=0.5, least=1.0)
    features = torch.tensor([[0.6, 0.8, 0.0], [0.6, 0.0, 0.8]])
    # nearest mean 0.8, nearest text 0.8; then 0.6 and 0.8
    assert familiar.scores(features, texts).tolist() == pytest.approx([1.2, 1.0])
    assert Familiar(means, 0.5, 1.1).unlike(features, texts) == [False, True]


def test_a_twentieth_of_held_out_pictures_is_called_unlike_and_nearly_all_of_others(classes):
    labels = torch.arange(3).repeat_interleave(8)
    held_out = around(classes, 40, seed=1)
    familiar = familiar_from(around(classes, 8, seed=0), labels, classes, held_out)
    assert sum(familiar.unlike(held_out, classes)) == 6  # of 120
    assert sum(familiar.unlike(around(classes, 100, seed=2), classes)) < 45  # of 300
    others = F.normalize(torch.randn(200, 24, generator=torch.Generator().manual_seed(9)), dim=-1)
    assert sum(familiar.unlike(others, classes)) > 180


def test_with_few_held_out_pictures_those_learned_from_are_asked_and_not_the_texts(classes):
    labels = torch.arange(3).repeat_interleave(8)
    learned, held_out = around(classes, 8, seed=0), around(classes, 2, seed=1)
    familiar = familiar_from(learned, labels, classes, held_out)
    assert len(held_out) < MIN_HELD_OUT
    assert familiar.text_share == 0
    # each picture against the means of the others, by hand
    scores = (held_out @ familiar.class_means.T).amax(-1).tolist()
    for at in range(len(learned)):
        rest = torch.arange(len(learned)) != at
        means = torch.stack([learned[rest & (labels == c)].mean(0) for c in range(3)])
        scores.append(float((learned[at] @ F.normalize(means, dim=-1).T).max()))
    assert familiar.least == pytest.approx(float(torch.tensor(scores).quantile(0.05)), abs=1e-3)


def test_too_few_pictures_tell_nothing(classes):
    assert MIN_PICTURES > 6
    one_each = around(classes, 1, seed=0)
    assert familiar_from(one_each, torch.arange(3), classes) is None
    two_each = around(classes, 2, seed=0)
    assert familiar_from(two_each, torch.arange(3).repeat_interleave(2), classes) is None


def test_it_comes_back_as_it_was_written_and_nothing_else_does():
    features, labels = separable_features()
    familiar = familiar_from(features[0], labels, F.normalize(torch.randn(3, 24), dim=-1))
    written = familiar.to_mapping()
    again = Familiar.from_mapping(written, 3, 24)
    assert torch.equal(again.class_means, familiar.class_means)
    assert (again.text_share, again.least) == (familiar.text_share, familiar.least)
    nan = Familiar(familiar.class_means * float("nan"), 0.0, 0.0).to_mapping()
    for wrong in (
        {},
        written | {"class_means": "§"},
        written | {"class_means": written["class_means"][:-8]},
        written | {"class_means": 5},
        written | {"least": "0.5"},
        written | {"least": float("nan")},
        written | {"text_share": True},
        nan,
    ):
        with pytest.raises(ValueError, match=r"class means|number"):
            Familiar.from_mapping(wrong, 3, 24)
