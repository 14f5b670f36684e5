"""A step of training: eager everywhere, replayed as one graph on a GPU, the same either way."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_backbone

from coop_demo.backbones.backbone import random_backbone
from coop_demo.prompts.class_blocks import bytes_a_class, classes_at_once
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.step import TrainStep
from coop_demo.prompts.training import TrainConfig, train_prompt

NAMES = ["red", "green", "a rather longer name"]


def problem(backbone):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(3).repeat_interleave(4)
    features = torch.randn(2, 12, backbone.embed_dim, generator=generator)
    return F.normalize(features, dim=-1).to(backbone.device), labels.to(backbone.device)


def make_step(
    backbone, *, optimizer="adamw", kgcoop_weight=None, capture=True, prompt=None, **options
):
    features, labels = problem(backbone)
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        NAMES,
        prompt or PromptConfig(n_ctx=4),
        generator=torch.Generator().manual_seed(0),
    )
    anchor = torch.zeros(3, backbone.embed_dim, device=backbone.device)
    step = TrainStep(
        backbone,
        learner,
        features,
        labels,
        anchor,
        batch_size=8,
        optimizer=optimizer,
        weight_decay=1e-3,
        kgcoop_weight=kgcoop_weight,
        capture=capture,
        **options,
    )
    return step, learner


def test_a_step_on_the_cpu_is_eager_and_lowers_the_loss():
    step, _ = make_step(tiny_backbone())
    assert not step.captured
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    losses = [float(step(view, rows, 0.01)) for _ in range(15)]
    assert losses[-1] < losses[0]


def test_the_pull_of_kgcoop_grows_with_the_logit_scale_as_the_cross_entropy_does():
    backbone = tiny_backbone()
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    plain = make_step(backbone)[0].loss(view, rows)
    step, learner = make_step(backbone, kgcoop_weight=8.0)
    pull = learner().square().sum(-1).mean()  # towards the zeros that stand for the words
    expected = plain + 8.0 * backbone.logit_scale / 100 * pull
    assert step.loss(view, rows).item() == pytest.approx(expected.item(), rel=1e-5)


PROMPTS = [
    PromptConfig(n_ctx=4),
    PromptConfig(n_ctx=4, position="middle"),
    PromptConfig(n_ctx=4, class_specific=True),
]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("at_once", [1, 2])
def test_blocks_of_classes_give_the_loss_and_gradient_of_all_at_once(prompt, at_once):
    backbone = tiny_backbone()
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    found = []
    for size in (None, at_once):
        step, learner = make_step(
            backbone, prompt=prompt, kgcoop_weight=8.0, classes_at_once=size, optimizer="sgd"
        )
        found.append((float(step(view, rows, 0.01)), learner.ctx.grad, step.weights()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1][2], found[0][2])


def test_sampling_every_class_is_the_loss_over_all_classes():
    backbone = tiny_backbone()
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    grads = []
    for options in ({}, {"sampled_classes": 3}):
        step, learner = make_step(backbone, optimizer="sgd", kgcoop_weight=8.0, **options)
        loss = float(step(view, rows, 0.01, torch.tensor([2, 0, 1]) if options else None))
        grads.append((loss, learner.ctx.grad))
    assert grads[1][0] == pytest.approx(grads[0][0], rel=1e-5)
    torch.testing.assert_close(grads[1][1], grads[0][1], rtol=1e-4, atol=1e-7)


def test_a_sampled_class_stands_for_those_that_were_not_sampled():
    """Two negatives of which one is the picture's own: the other counts for all C - 1."""
    backbone = tiny_backbone()
    step, learner = make_step(backbone, sampled_classes=2, optimizer="sgd")
    features, _ = problem(backbone)
    before = learner.ctx.detach().clone()
    loss = float(step(torch.zeros(8).long(), torch.zeros(8).long(), 0.0, torch.tensor([0, 2])))
    with torch.no_grad():
        learner.ctx.copy_(before)
        logits = backbone.logit_scale * features[0, 0] @ learner().T  # its class is 0
    expected = torch.log1p(2 * torch.exp(logits[2] - logits[0]))
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_memory_decides_how_many_classes_are_taken_at_once():
    learner = make_step(tiny_backbone())[1]
    a_class = bytes_a_class(learner)
    assert a_class > 0
    assert classes_at_once(learner) == 3
    assert classes_at_once(learner, free=10**12) == 3
    assert classes_at_once(learner, free=int(2.5 * a_class * 1.5 / 0.25)) == 2
    assert classes_at_once(learner, free=0) == 1


def test_a_loss_that_is_no_number_changes_nothing():
    backbone = tiny_backbone()
    step, learner = make_step(backbone)
    with torch.no_grad():
        learner.ctx[0, 0] = float("nan")
    before = learner.ctx.detach().clone()
    value = step(torch.zeros(8, dtype=torch.long), torch.arange(8), 0.01)
    assert not torch.isfinite(value)
    assert torch.equal(learner.ctx.isnan(), before.isnan())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kgcoop_weight", [None, 8.0])
def test_a_replayed_step_is_the_eager_step(optimizer, kgcoop_weight, monkeypatch):
    backbone = random_backbone("RN50", device="cuda")
    monkeypatch.setattr(backbone, "autocast", contextlib.nullcontext, raising=False)
    runs = []
    for capture in (True, False):
        step, learner = make_step(
            backbone, optimizer=optimizer, kgcoop_weight=kgcoop_weight, capture=capture
        )
        assert step.captured == capture
        generator = torch.Generator().manual_seed(2)
        losses = []
        for _ in range(20):
            rows = torch.randperm(12, generator=generator)[:8].cuda()
            view = torch.randint(2, (8,), generator=generator).cuda()
            losses.append(float(step(view, rows, 0.002)))
        runs.append((losses, learner.ctx.detach().cpu(), step.weights().clone().cpu()))
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-3)
    torch.testing.assert_close(runs[0][1], runs[1][1], rtol=1e-2, atol=1e-4)
    torch.testing.assert_close(runs[0][2], runs[1][2], rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_captured_trainings_in_turn_give_what_each_gives_alone():
    backbone = random_backbone("RN50", device="cuda")
    features, labels = problem(backbone)

    def events(seed):
        config = TrainConfig(steps=12, seed=seed)
        return train_prompt(
            backbone, features.cpu(), labels.cpu(), NAMES, PromptConfig(n_ctx=4), config
        )

    alone = [[e.loss for e in events(seed)] for seed in (1, 2)]
    together = [[], []]
    for a, b in zip(events(1), events(2), strict=True):
        together[0].append(a.loss)
        together[1].append(b.loss)
    assert together[0] == pytest.approx(alone[0], rel=1e-2)
    assert together[1] == pytest.approx(alone[1], rel=1e-2)
